"""Volumes, secrets and configs: at the top of the file, and on a service."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, model_validator

from bayplan.spec.mount_syntax import is_path, long_mount
from bayplan.spec.shapes import FileModel, Flag, List, Maybe, Memory, Mode, Pairs, Text, flag_or_map, long_form, wrong
from bayplan.spec.written.fields import key, required

_ID = re.compile(r"\d+")


class BindFile(FileModel):
    """`bind:` of a mount."""

    propagation: Maybe[Literal["private", "rprivate", "shared", "rshared", "slave", "rslave"]] = key()
    create_host_path: Maybe[Flag] = key(
        "`true` unless written, on this machine's own engine (no fleet.yaml); on a fleet the path must be there"
    )
    recursive: Maybe[Literal["enabled", "disabled", "writable", "readonly"]] = key()
    selinux: Maybe[Literal["z", "Z"]] = key()


class VolumeOptionsFile(FileModel):
    """`volume:` of a mount."""

    nocopy: Maybe[Flag] = key()
    subpath: Maybe[Text] = key("engines from API 1.45 on")
    labels: Maybe[Pairs] = key("of a volume that is made for the replica")


class TmpfsFile(FileModel):
    """`tmpfs:` of a mount."""

    size: Maybe[Memory] = key()
    mode: Maybe[Mode] = key()


class ImageOptionsFile(FileModel):
    """`image:` of a mount."""

    subpath: Maybe[Text] = key()


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise wrong(f"{value!r} is not a path from the root", "write where it is to be in the replica, such as /data")
    return value


class MountFile(FileModel):
    """An entry of `volumes:` of a service, long."""

    type: Literal["volume", "bind", "tmpfs", "image"] = required("`cluster` and `npipe` are refused")
    source: Maybe[Text] = key(
        "a key of the top-level `volumes`, a path of the host, an image; without it a volume goes with each replica"
    )
    target: Annotated[Text, AfterValidator(_absolute)] = required()
    read_only: Maybe[Flag] = key()
    consistency: Maybe[Text] = key("of other systems than Linux; changes nothing")
    bind: Maybe[BindFile] = key()
    volume: Maybe[VolumeOptionsFile] = key()
    tmpfs: Maybe[TmpfsFile] = key()
    image: Maybe[ImageOptionsFile] = key()

    @model_validator(mode="after")
    def _has_a_source(self) -> MountFile:
        if self.type in {"bind", "image"} and not self.source:
            raise wrong(f"of type {self.type} needs a source", "write what is mounted")
        if self.type == "volume" and is_path(self.source or ""):
            raise wrong(f"of type volume has the path {self.source!r} as its source", "write type: bind")
        if self.type == "tmpfs" and self.source:
            raise wrong("of type tmpfs has no source", "remove source")
        return self


Mounts = List[Annotated[MountFile, BeforeValidator(long_mount, json_schema_input_type=str | MountFile)]]


def _grant(value: Any) -> Any:
    return long_form(value, "source")


def _numeric(value: str) -> str:
    if not _ID.fullmatch(value):
        raise wrong(f"must be a number, not {value!r}", "names are known in the replica only")
    return value


Id = Annotated[str, BeforeValidator(lambda v: _numeric(str(v)), json_schema_input_type=int | str)]


class GrantFile(FileModel):
    """An entry of `secrets:` or `configs:` of a service, long."""

    source: Text = required("a key at the top")
    target: Maybe[Text] = key("/run/secrets/SOURCE for secrets, /SOURCE for configs, unless written")
    uid: Maybe[Id] = key("0")
    gid: Maybe[Id] = key("0")
    mode: Maybe[Mode] = key("0444")


Grants = List[Annotated[GrantFile, BeforeValidator(_grant, json_schema_input_type=str | GrantFile)]]


class ExternalNameFile(FileModel):
    """`external:` in the form that it had once."""

    name: Maybe[Text] = key()


def _external(value: Any) -> Any:
    return flag_or_map(value, "is_external")


class ExternalFile(ExternalNameFile):
    """`external:`, true or false, or a map with the old form's name."""

    is_external: Flag = True


External = Annotated[ExternalFile, BeforeValidator(_external, json_schema_input_type=bool | str | ExternalNameFile)]


def nothing_is_a_map(value: Any) -> Any:
    """A top-level entry may have nothing after its name."""
    return {} if value is None else value


class VolumeFile(FileModel):
    """An entry of the top-level `volumes:`."""

    name: Maybe[Text] = key("APP_KEY unless written, as Compose has it: a volume that Compose made is found")
    driver: Maybe[Text] = key()
    driver_opts: Maybe[Pairs] = key("a relative `device` of `o: bind` starts from the project's directory, on one host")
    external: Maybe[External] = key("neither made nor removed; `{name: …}` too")
    labels: Maybe[Pairs] = key()


class SecretFile(FileModel):
    """An entry of the top-level `secrets:`."""

    name: Maybe[Text] = key()
    file: Maybe[Text] = key("on your machine; it must be there")
    environment: Maybe[Text] = key("a variable of yours; it must be set")
    external: Maybe[External] = key("read, and shown by `config`; refused by `up`: nothing keeps secrets outside")
    labels: Maybe[Pairs] = key()

    @model_validator(mode="after")
    def _one_source(self) -> SecretFile:
        return one_source(self, ("file", "environment"))


class ConfigFile(FileModel):
    """An entry of the top-level `configs:`."""

    name: Maybe[Text] = key()
    content: Maybe[Text] = key()
    file: Maybe[Text] = key("on your machine; it must be there. Its content is part of the release")
    environment: Maybe[Text] = key("a variable of yours; it must be set")
    external: Maybe[External] = key("read, and shown by `config`; refused by `up`: nothing keeps configs outside")
    labels: Maybe[Pairs] = key()

    @model_validator(mode="after")
    def _one_source(self) -> ConfigFile:
        return one_source(self, ("file", "environment", "content"))


S = TypeVar("S", SecretFile, ConfigFile)


def one_source(written: S, keys: tuple[str, ...]) -> S:
    """The entry again. Raises ValueError unless exactly one of the keys, or external, is there."""
    external = written.external
    found = [name for name in keys if getattr(written, name) is not None]
    if external is not None and external.is_external:
        found.append("external")
    if len(found) != 1:
        has = f"has {' and '.join(found)}" if found else "has no source"
        raise wrong(has, f"write one of {', '.join(keys)}")
    return written
