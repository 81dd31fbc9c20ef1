"""`build:` of a service."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from bayplan.spec.shapes import (
    FileModel,
    Flag,
    List,
    Maybe,
    Memory,
    Pairs,
    Scalars,
    Text,
    Value,
    either,
    long_form,
    wrong,
)
from bayplan.spec.written.fields import key
from bayplan.spec.written.runtime import ExtraHosts, Ulimits
from bayplan.spec.written.storage import Grants

_NEEDS = "read, and shown by `config`; refused by `up` for now"
_NONE = "`false`: none is made; another is read, shown by `config`, and refused by `up` for now"


def _ssh(value: Any) -> Any:
    """A list of `id[=path]`, or a map of them, as a list."""
    either(value, "a string, a list of id=path or a map (id: path)", str, list, dict)
    if isinstance(value, dict):
        return [f"{name}={path}" if path is not None else name for name, path in value.items()]
    return value


class BuildFile(FileModel):
    """`build:`, long."""

    context: Maybe[Text] = key("a folder, which must be there")
    dockerfile: Maybe[Text] = key("from the context, in it or outside of it; it must be there")
    dockerfile_inline: Maybe[Text] = key()
    args: Maybe[Pairs] = key("map or list; a name without a value takes it from your environment")
    target: Maybe[Text] = key()
    labels: Maybe[Pairs] = key("map or list")
    no_cache: Maybe[Flag] = key()
    pull: Maybe[Flag] = key()
    additional_contexts: Maybe[Pairs] = key(_NEEDS)
    cache_from: Maybe[List[Text]] = key("images whose layers may be used")
    cache_to: Maybe[List[Text]] = key(_NEEDS)
    entitlements: Maybe[List[Text]] = key(_NEEDS)
    extra_hosts: Maybe[ExtraHosts] = key("of the steps")
    network: Maybe[Text] = key("of the steps: `host`, `none`")
    platforms: Maybe[List[Text]] = key(
        "one, or the service's `platform` among them, which it is unless written: what its image is for. Another than "
        "that of the host that builds needs BuildKit"
    )
    privileged: Maybe[Flag] = key(_NEEDS)
    provenance: Maybe[Value] = key(_NONE)
    sbom: Maybe[Value] = key(_NONE)
    secrets: Maybe[Grants] = key("for `RUN --mount=type=secret`; in no layer. It needs BuildKit")
    shm_size: Maybe[Memory] = key("of the steps; with BuildKit from Docker 23")
    ssh: Maybe[
        Annotated[Scalars, BeforeValidator(_ssh, json_schema_input_type=str | list[str] | dict[str, str | None])]
    ] = key("for `RUN --mount=type=ssh`: `default`, your agent, or `id=path` of a key. It needs BuildKit")
    tags: Maybe[List[Text]] = key("more names of what is built, on the engine that builds it")
    ulimits: Maybe[Ulimits] = key("of the steps; with BuildKit from Docker 23")

    @model_validator(mode="after")
    def _one_dockerfile(self) -> BuildFile:
        if self.dockerfile and self.dockerfile_inline:
            raise wrong("has both dockerfile and dockerfile_inline", "keep one")
        return self


def _build(value: Any) -> Any:
    return long_form(value, "context")


Build = Annotated[BuildFile, BeforeValidator(_build, json_schema_input_type=str | BuildFile)]
