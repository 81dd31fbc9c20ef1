"""An entry of `services:`, with every key of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from bayplan.spec.image_name import parse
from bayplan.spec.options import NO_BRIDGE
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
    Scalars,
    Seconds,
    Text,
    Texts,
    Words,
    either,
    long_form,
    wrong,
)  # fmt: skip
from bayplan.spec.written import runtime as option
from bayplan.spec.written.build import Build
from bayplan.spec.written.deploy import DeployFile
from bayplan.spec.written.extension import Extension
from bayplan.spec.written.fields import key, required
from bayplan.spec.written.health import HealthcheckFile
from bayplan.spec.written.networks import Alias, Attachments
from bayplan.spec.written.ports import Expose, Ports
from bayplan.spec.written.storage import Grants, Mounts

_RESTART = re.compile(r"no|always|unless-stopped|on-failure(:\d+)?")
_PULLS = {"", "always", "missing", "if_not_present", "build", "never"}
_PLATFORM = re.compile(r"linux(/[a-z0-9_]+(/v\d+)?)?")
# An architecture alone is Linux's (containerd's `platforms.Parse`, which has more names for some).
_ARCHES = dict.fromkeys(("amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x", "loong64"), "") | {
    "x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm/v7", "armel": "arm/v6",
}  # fmt: skip


def _env_file(value: Any) -> Any:
    return long_form(value, "path")


class EnvFile(FileModel):
    """An entry of `env_file:`, long."""

    path: Text = required("from the first Compose file's folder")
    required: Maybe[Flag] = key("`true` unless written")
    format: Maybe[Literal["raw"]] = key("`raw`: quotes and dollar signs are part of values")


def _as_list(value: Any) -> Any:
    either(value, "a string, a map (key: value) or a list of these", str, dict, list)
    return value if isinstance(value, list) else [value]


EnvFiles = Annotated[
    tuple[Annotated[EnvFile, BeforeValidator(_env_file, json_schema_input_type=str | EnvFile)], ...],
    BeforeValidator(_as_list, json_schema_input_type=str | EnvFile | list[str | EnvFile]),
]


def _image(value: str) -> str:
    parse(value)
    return value


def _restart(value: str) -> str:
    if value and not _RESTART.fullmatch(value):  # empty, as variables may be: as if it were not written
        raise ValueError(f'must be always, unless-stopped, on-failure[:times] or "no", not {value!r}')
    return value


def _signal(value: str) -> str:
    if value and not re.fullmatch(r"(SIG)?[A-Z][A-Z0-9+-]*|\d+", value.upper()):  # empty, as variables may be
        raise ValueError(f"{value!r} is not a signal, such as SIGTERM")
    return value


def _platform(value: str) -> str:
    """In the words of images; `linux/x86_64` is another name of `linux/amd64`, as for engines."""
    arch = value.removeprefix("linux/")
    if arch in _ARCHES:
        return f"linux/{_ARCHES[arch] or arch}"
    if value and not _PLATFORM.fullmatch(value):  # empty, as variables may be: any
        raise wrong(f"{value!r} cannot be run", "write linux/amd64, linux/arm64 or another of Linux")
    return value


_OF_ITS_OWN = "the service has a network of its own then, and its own way out;"
_JOINED = {  # what is joined, and what to do without
    "service": (
        "two containers, which a fleet may run on different hosts",
        f"{_OF_ITS_OWN} it finds {{0}} by that name, not at localhost, and what {{0}} publishes for it, publish here",
    ),
    "container": (
        "a container of one engine, and none of this app's",
        f"{_OF_ITS_OWN} to find {{0}} by its name, write that as a service too",
    ),
}


def _network_mode(value: str) -> str:
    kind, sign, other = value.partition(":")
    if sign and kind in _JOINED:
        what, instead = _JOINED[kind]
        raise wrong(f"{value!r} joins {what}", f"remove it: {instead.format(other)}")
    if value not in {"", "bridge", "default", *NO_BRIDGE}:
        raise wrong(
            f"{value!r} is a network of one engine's own, and services find each other on those of the app",
            "remove it, or write networks: [NAME]",
        )
    return value


def _pid(value: str) -> str:
    if option.namespace(value) not in {"", "host"}:
        raise wrong(f"must be host, not {value!r}", "remove it: each replica has its own")
    return value


def _ipc(value: str) -> str:
    if option.namespace(value) not in {"", "host", "private", "shareable", "none"}:
        raise wrong(f"must be host, private, shareable or none, not {value!r}")
    return value


def _pull_policy(value: str) -> str:
    if value not in _PULLS and not re.fullmatch(r"daily|weekly|every_\w+", value):
        raise wrong(f"{value!r} is no policy", "write always, missing or build")
    if value not in _PULLS:
        raise wrong(
            f"{value!r} cannot be meant: images are pinned by digest at each release",
            "write always, missing or build; bayplan up --pull looks for a newer one",
        )
    return value


def _volumes_from(value: str) -> str:
    """`SERVICE[:ro|:rw]` (Compose Specification, "volumes_from")."""
    if value.startswith("container:"):
        raise wrong(
            f"{value!r} is a container of one engine, and none of this app's",
            "name what it mounts under volumes: a path, or NAME and at the top volumes: {NAME: {external: true}}",
        )
    name, _, mode = value.partition(":")
    if not name or mode not in {"", "ro", "rw"}:
        raise wrong(f"{value!r} is not a service whose volumes to mount", "write SERVICE, or SERVICE:ro")
    return value


def _isolation(value: str) -> str:
    if value not in {"", "default"}:
        raise wrong(f"{value!r} is for engines on Windows", "remove it")
    return value


class DependencyFile(FileModel):
    """An entry of `depends_on:`, long."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"] = required()
    required: Maybe[Flag] = key("`false`: a service that is not there, or of another profile, is no mistake")
    restart: Maybe[Flag] = key("`true`: another version of that one is another replica of this one")


def _dependencies(value: Any) -> Any:
    if isinstance(either(value, "a list of services or a map (key: value)", list, dict), list):
        for item in value:
            if not isinstance(item, str):
                raise wrong("must be a list of services, or a map", "write depends_on: [db]")
        return {name: {"condition": "service_started"} for name in value}
    return value


Dependencies = Annotated[
    Map[DependencyFile],
    BeforeValidator(_dependencies, json_schema_input_type=list[str] | dict[str, DependencyFile]),
]


def _extends(value: Any) -> Any:
    return long_form(value, "service")


class ExtendsFile(FileModel):
    """`extends:`, long."""

    service: Text = required()
    file: Maybe[Text] = key("this one unless written; its own paths start from its own folder")


Extends = Annotated[ExtendsFile, BeforeValidator(_extends, json_schema_input_type=str | ExtendsFile)]


class ServiceFile(FileModel):
    """An entry of `services:`."""

    image: Maybe[Annotated[Text, AfterValidator(_image)]] = key("pinned by digest in a release; this or `build`")
    build: Maybe[Build] = key("a folder, or a map")
    command: Words = key(
        "a list, or a text, split as docker compose splits it: no shell reads it, and it ends, with a warning, where "
        "one would pipe, redirect or begin another command; an empty one is the image's: so engines take it"
    )
    entrypoint: Words = key("as `command`; an empty one: not the image's, and the command stands alone")
    environment: Maybe[Pairs] = key(
        "map or list; a name without a value takes it from your environment, and where that has none, the container "
        "has none, whatever its image or `env_file` says; numbers stay as written"
    )
    env_file: Maybe[EnvFiles] = key("one, a list, or maps")
    labels: Maybe[Pairs] = key("every replica carries them")
    label_file: Maybe[Texts] = key("under `labels`")
    user: Maybe[Text] = key()
    working_dir: Maybe[Text] = key()
    init: Maybe[Flag] = key("as each engine has it for all (`init` of daemon.json) unless written")
    restart: Maybe[Annotated[Text, AfterValidator(_restart)]] = key(
        "`always` unless written: a service is meant to stay. A job: `no`"
    )
    stop_signal: Maybe[Annotated[Text, AfterValidator(_signal)]] = key()
    stop_grace_period: Maybe[Seconds] = key("10s")
    healthcheck: Maybe[HealthcheckFile] = key("a replica has traffic once it is healthy")
    ports: Maybe[Ports] = key("listeners of the balancer; see Ports")
    expose: Maybe[Expose] = key("ports of the service's own address; a replica answers on one of them at least")
    deploy: DeployFile | None = key()
    scale: Maybe[Natural] = key("the same as `deploy.replicas`; both must agree")
    cpus: Maybe[Cores] = key("the same as `deploy.resources.limits.cpus`; both must agree")
    mem_limit: Maybe[Memory] = key("the same as `deploy.resources.limits.memory`; both must agree")
    mem_reservation: Maybe[Memory] = key("the same as `deploy.resources.reservations.memory`; both must agree")
    pids_limit: Maybe[Integer] = key("the same as `deploy.resources.limits.pids`; both must agree")
    extends: Maybe[Extends] = key("a service of this file or of another one; circles are told")
    profiles: Maybe[List[Text]] = key("the service is left out unless one of them is asked for (`COMPOSE_PROFILES`)")
    depends_on: Maybe[Dependencies] = key(
        "list or map; circles are told. What waits is started once the other one runs (`service_started`), serves "
        "(`service_healthy`: its own check, and every gateway's probe) or has ended with 0"
    )
    networks: Maybe[Attachments] = key(
        "list or map, with aliases. Services that share one find each other by name; on each host an app has one bridge"
    )
    network_mode: Maybe[Annotated[Text, AfterValidator(_network_mode)]] = key(
        "`none`; `host` on this machine's own engine (no fleet.yaml), replaced stop-first; `bridge` is what replicas "
        "have. Others are refused"
    )
    links: Maybe[List[Text]] = key(
        "another service by another name, for whose start it waits as with `depends_on`; it is not restarted after it"
    )
    container_name: Maybe[Alias] = key(
        "the service is found by this name too; containers keep their replicas' names, as two stand in a rollout"
    )
    volumes: Maybe[Mounts] = key(
        "a service lives where its named volume is (one replica writes to one, but on this machine alone; stop-first; "
        "never moved by itself); a path must be there on each host that may run it; `image`: refused by `up` for now; "
        "an option of the short form that is none changes nothing, with a warning"
    )
    volumes_from: Maybe[List[Annotated[Text, AfterValidator(_volumes_from)]]] = key(
        "`SERVICE`, `SERVICE:ro`: what that one mounts, at the same places; it is waited for. A named volume keeps "
        "both on one host. Not of another container, and not what an image calls a VOLUME"
    )
    secrets: Maybe[Grants] = key("files in the memory of the host, mounted read-only; another value is another replica")
    configs: Maybe[Grants] = key("as secrets")
    tmpfs: Maybe[Texts] = key()
    platform: Maybe[Annotated[Text, AfterValidator(_platform)]] = key("one of Linux; hosts of another are not chosen")
    pull_policy: Maybe[Annotated[Text, AfterValidator(_pull_policy)]] = key(
        "`missing`, unless written: a tag, once looked up, stays what it was. `always` and `build`: each `up` looks "
        "the tag up, or builds, again. `never`: of what is built here. `daily`, `weekly` and `every_…` are refused"
    )
    post_start: Maybe[List[option.HookFile]] = key(
        "in a replica that was started, before it has traffic; where one fails, the replica has failed"
    )
    pre_stop: Maybe[List[option.HookFile]] = key(
        "in a replica without traffic any more; it is stopped whatever comes of it"
    )
    annotations: Maybe[Pairs] = key("engines from API 1.43 on")
    attach: Maybe[Flag] = key("`up` shows no logs, `bayplan logs` does; changes nothing")
    blkio_config: Maybe[option.BlkioFile] = key()
    cap_add: Maybe[List[Text]] = key()
    cap_drop: Maybe[List[Text]] = key()
    cgroup: Maybe[Literal["host", "private"]] = key()
    cgroup_parent: Maybe[Text] = key()
    cpu_period: Maybe[option.Microseconds] = key("not beside `cpus`")
    cpu_quota: Maybe[option.Microseconds] = key("not beside `cpus`")
    cpu_rt_period: Maybe[option.Microseconds] = key()
    cpu_rt_runtime: Maybe[option.Microseconds] = key()
    cpu_shares: Maybe[Natural] = key()
    cpuset: Maybe[Text] = key("of every host that may run the service")
    develop: Any = key("of `docker compose watch`; changes nothing")
    device_cgroup_rules: Maybe[List[Text]] = key()
    devices: Maybe[option.Devices] = key("of every host that may run the service; CDI names too")
    dns: Maybe[Texts] = key()
    dns_opt: Maybe[List[Text]] = key()
    dns_search: Maybe[Texts] = key()
    domainname: Maybe[Text] = key()
    extra_hosts: Maybe[option.ExtraHosts] = key("map or list; `host-gateway` is the replica's own host")
    gpus: Maybe[option.Gpus] = key("say with constraints which hosts have some")
    group_add: Maybe[Scalars] = key()
    hostname: Maybe[Text] = key("`SERVICE-NUMBER` unless written")
    ipc: Maybe[Annotated[Text, AfterValidator(_ipc)]] = key(
        "`host`, `private`, `shareable`, `none`; not of another container"
    )
    isolation: Maybe[Annotated[Text, AfterValidator(_isolation)]] = key("`default`")
    logging: Maybe[option.LoggingFile] = key(
        "where it is not written and the engine writes json-file: 3 files of 10m; such an engine keeps every line else"
    )
    mac_address: Maybe[option.Mac] = key("of one replica, replaced stop-first, which is the default there")
    mem_swappiness: Maybe[option.Percent] = key("cgroup v1")
    memswap_limit: Maybe[option.Swap] = key("no swap beyond `mem_limit` unless written")
    oom_kill_disable: Maybe[Flag] = key("cgroup v1")
    oom_score_adj: Maybe[option.Score] = key()
    pid: Annotated[Text, AfterValidator(_pid)] | None = key("`host`")
    privileged: Maybe[Flag] = key()
    read_only: Maybe[Flag] = key()
    runtime: Maybe[Text] = key("of every host that may run the service")
    security_opt: Maybe[List[Text]] = key("the file of `seccomp:FILE` is read here")
    shm_size: Maybe[Memory] = key()
    stdin_open: Maybe[Flag] = key()
    storage_opt: Maybe[Pairs] = key()
    sysctls: Maybe[Pairs] = key()
    tty: Maybe[Flag] = key()
    ulimits: Maybe[option.Ulimits] = key()
    userns_mode: Maybe[Text] = key()
    uts: Maybe[Literal["host"]] = key()
    extension: Maybe[Extension] = key("see `x-bayplan`", alias="x-bayplan")
