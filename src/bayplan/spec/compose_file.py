"""The Compose file as its author writes it: which keys there are, and what each may hold.

These models check one merged file and make its JSON Schema; `resolve` turns them into `model.App`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bayplan.spec.image_name import parse
from bayplan.spec.port_syntax import listen_address, long_port, port_range
from bayplan.spec.shapes import (
    Cores,
    FileModel,
    Flag,
    Integer,
    List,
    Map,
    Maybe,
    Memory,
    Natural,
    Pairs,
    Seconds,
    Text,
    Texts,
    Words,
    wrong,
)  # fmt: skip

_CONSTRAINT = re.compile(r"node\.(hostname|zone|platform\.os|platform\.arch|labels\.[\w./-]+)\s*(==|!=)\s*(\S.*)")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_RESTART = re.compile(r"no|always|unless-stopped|on-failure(:\d+)?")


class BuildFile(FileModel):
    """`build:`, long."""

    context: Maybe[Text] = None
    dockerfile: Maybe[Text] = None
    dockerfile_inline: Maybe[Text] = None
    args: Maybe[Pairs] = None
    target: Maybe[Text] = None
    labels: Maybe[Pairs] = None
    no_cache: Maybe[Flag] = None
    pull: Maybe[Flag] = None

    @model_validator(mode="after")
    def _one_dockerfile(self) -> BuildFile:
        if self.dockerfile and self.dockerfile_inline:
            raise wrong("has both dockerfile and dockerfile_inline", "keep one")
        return self


def _test(value: Any) -> Any:
    if isinstance(value, str):
        return ("NONE",) if value == "NONE" else ("CMD-SHELL", value)
    if isinstance(value, list) and (not value or value[0] not in {"NONE", "CMD", "CMD-SHELL"}):
        raise ValueError("must start with CMD, CMD-SHELL or NONE when it is a list")
    return value


class HealthcheckFile(FileModel):
    """`healthcheck:`."""

    test: Maybe[Annotated[tuple[Text, ...], BeforeValidator(_test, json_schema_input_type=str | list[str])]] = None
    disable: Maybe[Flag] = None
    interval: Maybe[Seconds] = None
    timeout: Maybe[Seconds] = None
    start_period: Maybe[Seconds] = None
    retries: Maybe[Natural] = None


PortRange = Annotated[tuple[int, ...], BeforeValidator(port_range, json_schema_input_type=int | str)]


class PortFile(FileModel):
    """An entry of `ports:`, long. A range in target or published only comes from the short syntax."""

    target: PortRange
    published: Maybe[PortRange] = None
    protocol: Literal["tcp", "udp"] = "tcp"
    mode: Literal["ingress", "host"] = "ingress"
    host_ip: Annotated[Text, AfterValidator(listen_address)] = ""
    app_protocol: Maybe[Text] = None
    name: Maybe[Text] = None

    @model_validator(mode="after")
    def _as_many(self) -> PortFile:
        if self.published is not None and len(self.published) != len(self.target):
            raise wrong(
                f"publishes {len(self.published)} ports for {len(self.target)} of the container",
                "write as many on both sides",
            )
        return self


Port = Annotated[PortFile, BeforeValidator(long_port, json_schema_input_type=int | str | PortFile)]


class LimitsFile(FileModel):
    """`deploy.resources.limits`."""

    cpus: Maybe[Cores] = None
    memory: Maybe[Memory] = None
    pids: Maybe[Integer] = None


class ReservationsFile(FileModel):
    """`deploy.resources.reservations`."""

    cpus: Maybe[Cores] = None
    memory: Maybe[Memory] = None


class ResourcesFile(FileModel):
    """`deploy.resources`."""

    limits: Maybe[LimitsFile] = None
    reservations: Maybe[ReservationsFile] = None


def _constraint(value: str) -> str:
    if not _CONSTRAINT.fullmatch(value.strip()):
        raise wrong(
            f"{value!r} is not a constraint",
            "write node.hostname, node.zone, node.labels.NAME, node.platform.os or node.platform.arch, "
            "then == or !=, then a value",
        )
    return value.strip()


def _spread(value: str) -> str:
    if not re.fullmatch(r"node\.(zone|labels\.[\w./-]+)", value):
        raise wrong(f"{value!r} cannot be spread over", "write node.zone or node.labels.NAME")
    return value


class PreferenceFile(FileModel):
    """An entry of `deploy.placement.preferences`."""

    spread: Annotated[Text, AfterValidator(_spread)]


class PlacementFile(FileModel):
    """`deploy.placement`."""

    constraints: Maybe[List[Annotated[Text, AfterValidator(_constraint)]]] = None
    preferences: Maybe[List[PreferenceFile]] = None
    max_replicas_per_node: Maybe[Natural] = None


class UpdateFile(FileModel):
    """`deploy.update_config`."""

    parallelism: Maybe[Natural] = None
    order: Maybe[Literal["start-first", "stop-first"]] = None


def _deploy_mode(value: Any) -> Any:
    if isinstance(value, str) and value in {"global", "replicated-job", "global-job"}:
        raise wrong(f"{value} is not supported yet", "only replicated is")
    return value


class DeployFile(FileModel):
    """`deploy:`."""

    mode: Maybe[Annotated[Literal["replicated"], BeforeValidator(_deploy_mode)]] = None
    replicas: Maybe[Natural] = None
    resources: Maybe[ResourcesFile] = None
    placement: Maybe[PlacementFile] = None
    update_config: Maybe[UpdateFile] = None


def _env_file(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class EnvFile(FileModel):
    """An entry of `env_file:`, long."""

    path: Text
    required: Maybe[Flag] = None
    format: Maybe[Literal["raw"]] = None


def _env_files(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


EnvFiles = Annotated[
    tuple[Annotated[EnvFile, BeforeValidator(_env_file, json_schema_input_type=str | EnvFile)], ...],
    BeforeValidator(_env_files, json_schema_input_type=str | EnvFile | list[str | EnvFile]),
]


def _http_host(value: str) -> str:
    if not _HOST_NAME.fullmatch(value.lower()):
        raise wrong(f"{value!r} is not a host name", "write one such as www.example.com: no scheme, port or wildcard")
    return value.lower()


def _url_path(value: str) -> str:
    if not re.fullmatch(r"/[^\s?#]*", value):
        raise wrong(f"{value!r} is not a path", "it starts with / and has no spaces, ? or #")
    return value


class HttpFile(FileModel):
    """`x-bayplan.http`."""

    host: Maybe[Annotated[tuple[Annotated[Text, AfterValidator(_http_host)], ...], Texts.__metadata__[0]]] = None
    path: Maybe[Annotated[Text, AfterValidator(_url_path)]] = None
    sticky: Maybe[Flag] = None


class ProbeFile(FileModel):
    """`x-bayplan.probe`."""

    path: Maybe[Annotated[Text, AfterValidator(_url_path)]] = None
    tcp: Maybe[Flag] = None
    interval: Maybe[Seconds] = None
    timeout: Maybe[Seconds] = None

    @model_validator(mode="after")
    def _one_way(self) -> ProbeFile:
        if self.path and self.tcp:
            raise wrong("has both path (an HTTP probe) and tcp", "keep one")
        return self


class Extension(FileModel):
    """`x-bayplan:` on a service: what the Compose Specification has no words for."""

    http: Maybe[HttpFile] = None
    probe: Maybe[ProbeFile] = None
    drain: Maybe[Seconds] = None
    proxy_protocol: Maybe[Flag] = None


def _image(value: str) -> str:
    parse(value)
    return value


def _restart(value: str) -> str:
    if not _RESTART.fullmatch(value):
        raise ValueError(f'must be always, unless-stopped, on-failure[:times] or "no", not {value!r}')
    return value


def _signal(value: str) -> str:
    if not re.fullmatch(r"(SIG)?[A-Z][A-Z0-9+-]*|\d+", value):
        raise ValueError(f"{value!r} is not a signal, such as SIGTERM")
    return value


def _build(value: Any) -> Any:
    return {"context": value} if isinstance(value, str) else value


class ServiceFile(FileModel):
    """An entry of `services:`."""

    image: Maybe[Annotated[Text, AfterValidator(_image)]] = None
    build: Maybe[Annotated[BuildFile, BeforeValidator(_build, json_schema_input_type=str | BuildFile)]] = None
    command: Words = None
    entrypoint: Words = None
    environment: Maybe[Pairs] = None
    env_file: Maybe[EnvFiles] = None
    labels: Maybe[Pairs] = None
    user: Maybe[Text] = None
    working_dir: Maybe[Text] = None
    init: Maybe[Flag] = None
    restart: Maybe[Annotated[Text, AfterValidator(_restart)]] = None
    stop_signal: Maybe[Annotated[Text, AfterValidator(_signal)]] = None
    stop_grace_period: Maybe[Seconds] = None
    healthcheck: Maybe[HealthcheckFile] = None
    ports: Maybe[List[Port]] = None
    expose: Maybe[List[Annotated[str, BeforeValidator(str, json_schema_input_type=int | str)]]] = None
    deploy: Maybe[DeployFile] = None
    scale: Maybe[Natural] = None
    cpus: Maybe[Cores] = None
    mem_limit: Maybe[Memory] = None
    mem_reservation: Maybe[Memory] = None
    pids_limit: Maybe[Integer] = None
    extension: Maybe[Extension] = Field(default=None, alias="x-bayplan")


class ComposeFile(FileModel):
    """The whole file."""

    version: Any = Field(default=None, deprecated=True)
    name: Maybe[Text] = None
    services: Map[ServiceFile]
