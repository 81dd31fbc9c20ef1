"""One service as its file has it to the service that the rest of bayplan works with: defaults, units, long forms."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bayplan.spec import compose_file as file
from bayplan.spec.dotenv import read_dotenv, read_raw
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.model import Build, Healthcheck, Http, Placement, Port, Probe, Resources, Service, Update
from bayplan.spec.node import Node, Place, along
from bayplan.spec.reading import read_text, shown

_WEB_PORTS = frozenset({80, 8080})

T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Surroundings:
    """What a service's definition refers to. directory: the project's, which relative paths start from."""

    directory: Path
    variables: Mapping[str, str]
    root: Node
    mistakes: Mistakes

    def place(self, *path: str | int) -> Place:
        """Where something is written, or where it would be."""
        *_, last = along(self.root, path)
        return last.place

    def wrong(self, what: str, *path: str | int, todo: str = "") -> None:
        """Tell a mistake; the first words say which service."""
        self.mistakes.add(what, self.place(*path), todo)


def resolve(name: str, written: file.ServiceFile, around: Surroundings) -> Service:
    """The service; mistakes of its own are added."""
    extension = written.extension or file.Extension()
    update = (written.deploy and written.deploy.update_config) or file.UpdateFile()
    return Service(
        name=name,
        image=written.image or "",
        build=_build(name, written.build, around) if written.build else None,
        command=written.command,
        entrypoint=written.entrypoint,
        environment=_environment(name, written, around),
        labels=_blank(written.labels or {}),
        user=written.user or "",
        working_dir=written.working_dir or "",
        init=bool(written.init),
        restart=written.restart or "always",
        stop_signal=written.stop_signal or "",
        stop_grace_period=_or(written.stop_grace_period, 10.0),
        healthcheck=_healthcheck(written.healthcheck),
        ports=tuple(_ports(written, http=extension.http is not None)),
        replicas=_replicas(name, written, around),
        resources=_resources(name, written, around),
        placement=_placement(written),
        update=Update(order=update.order or "start-first", parallelism=update.parallelism or 0),
        http=_http(extension.http),
        probe=_probe(extension.probe),
        drain=_or(extension.drain, 30.0),
        proxy_protocol=bool(extension.proxy_protocol),
    )  # fmt: skip


def _or(value: T | None, default: T) -> T:
    return default if value is None else value


def _blank(pairs: Mapping[str, str | None]) -> dict[str, str]:
    """Labels without a value are empty (Compose Specification, "labels")."""
    return {key: value or "" for key, value in pairs.items()}


def _known(pairs: Mapping[str, str | None], variables: Mapping[str, str]) -> dict[str, str]:
    """Names without a value take it from the operator's environment; unset there, they are left out."""
    found = {key: variables.get(key) if value is None else value for key, value in pairs.items()}
    return {key: value for key, value in found.items() if value is not None}


def _environment(name: str, written: file.ServiceFile, around: Surroundings) -> dict[str, str]:
    """`env_file` in its order, `environment` over it."""
    found: dict[str, str] = {}
    for index, entry in enumerate(written.env_file or ()):
        path = around.directory / entry.path
        required = entry.required is not False
        if not required and not path.exists():
            continue
        place = around.place("services", name, "env_file", index)
        text = read_text(path, place, around.mistakes, f"services.{name}.env_file: ")
        if text is None:
            continue
        if entry.format == "raw":
            found |= read_raw(text, shown(path), around.mistakes)
        else:
            found |= read_dotenv(text, shown(path), around.variables, around.mistakes)
    return found | _known(written.environment or {}, around.variables)


def _build(name: str, written: file.BuildFile, around: Surroundings) -> Build:
    said = written.context or "."
    context = _normal(around.directory / said)
    dockerfile = _normal(context / (written.dockerfile or "Dockerfile"))
    if "://" in said or said.startswith("git@"):
        around.wrong(
            f"services.{name}.build: a context on the network is not supported yet",
            "services", name, "build", "context",
            todo="clone it, and name the directory",
        )  # fmt: skip
    elif not context.is_dir():
        around.wrong(
            f"services.{name}.build: there is no directory {shown(context)}",
            "services", name, "build", "context",
            todo="context is relative to the first Compose file",
        )  # fmt: skip
    elif written.dockerfile_inline is None:
        _check_dockerfile(name, context, dockerfile, around)
    return Build(
        context=str(context),
        dockerfile=os.path.relpath(dockerfile, context),
        dockerfile_inline=written.dockerfile_inline,
        args=_known(written.args or {}, around.variables),
        target=written.target,
        labels=_blank(written.labels or {}),
        no_cache=bool(written.no_cache),
        pull=bool(written.pull),
    )


def _normal(path: Path) -> Path:
    """Without `..`; links are kept, as the engine sees the names and not what they lead to."""
    return Path(os.path.normpath(path))


def _check_dockerfile(name: str, context: Path, dockerfile: Path, around: Surroundings) -> None:
    if not dockerfile.is_file():
        what, todo = f"there is no {shown(dockerfile)}", "write it, or name another with dockerfile"
    elif not dockerfile.is_relative_to(context):
        what, todo = f"{shown(dockerfile)} lies outside of the context", "move it there, or widen the context"
    else:
        return
    around.wrong(f"services.{name}.build: {what}", "services", name, "build", "dockerfile", todo=todo)


def _healthcheck(written: file.HealthcheckFile | None) -> Healthcheck | None:
    if written is None:
        return None
    if written.disable or written.test == ("NONE",):
        return Healthcheck(test=("NONE",))
    return Healthcheck(
        test=written.test or (),
        interval=_or(written.interval, 30.0),
        timeout=_or(written.timeout, 30.0),
        start_period=_or(written.start_period, 0.0),
        retries=_or(written.retries, 3),
    )


def port_pairs(written: file.ServiceFile) -> Iterator[tuple[int, file.PortFile, int, int]]:
    """Each published port: the index of its entry, the entry, the container's port, the published one."""
    for index, entry in enumerate(written.ports or ()):
        for target, published in zip(entry.target, entry.published or entry.target, strict=True):
            yield index, entry, target, published


def _ports(written: file.ServiceFile, *, http: bool) -> Iterator[Port]:
    for _, entry, target, published in port_pairs(written):
        said = entry.app_protocol
        guess = http or not {target, published}.isdisjoint(_WEB_PORTS)
        yield Port(
            target=target,
            published=published,
            protocol=entry.protocol,
            mode=entry.mode,
            address=entry.host_ip,
            app_protocol="http" if said == "http" or (said is None and guess) else "tcp",
        )


def _replicas(name: str, written: file.ServiceFile, around: Surroundings) -> int:
    deployed = written.deploy.replicas if written.deploy else None
    if written.scale is not None and deployed is not None and written.scale != deployed:
        around.wrong(
            f"services.{name}: scale says {written.scale}, deploy.replicas says {deployed}",
            "services", name, "scale",
            todo="remove scale",
        )  # fmt: skip
    return _or(deployed, _or(written.scale, 1))


def _resources(name: str, written: file.ServiceFile, around: Surroundings) -> Resources:
    deploy = (written.deploy and written.deploy.resources) or file.ResourcesFile()
    limits, reserved = deploy.limits or file.LimitsFile(), deploy.reservations or file.ReservationsFile()
    either = _Either(name, around)
    pids = either.of(limits.pids, "deploy.resources.limits.pids", written.pids_limit, "pids_limit")
    return Resources(
        reserved_cpus=reserved.cpus or 0.0,
        reserved_memory=either.of(
            reserved.memory, "deploy.resources.reservations.memory", written.mem_reservation, "mem_reservation"
        )
        or 0,
        limit_cpus=either.of(limits.cpus, "deploy.resources.limits.cpus", written.cpus, "cpus") or None,
        limit_memory=either.of(limits.memory, "deploy.resources.limits.memory", written.mem_limit, "mem_limit") or None,
        limit_pids=pids if pids and pids > 0 else None,
    )


@dataclass(frozen=True)
class _Either:
    """A quantity that Compose lets one write in two places; both must say the same."""

    service: str
    around: Surroundings

    def of(self, long: T | None, long_key: str, short: T | None, short_key: str) -> T | None:
        if long is not None and short is not None and long != short:
            self.around.wrong(
                f"services.{self.service}: {short_key} and {long_key} differ",
                "services", self.service, short_key,
                todo=f"remove {short_key}",
            )  # fmt: skip
        return short if long is None else long


def _placement(written: file.ServiceFile) -> Placement:
    placement = (written.deploy and written.deploy.placement) or file.PlacementFile()
    return Placement(
        constraints=placement.constraints or (),
        spread=tuple(p.spread for p in placement.preferences or ()),
        max_per_host=placement.max_replicas_per_node or None,
    )


def _http(written: file.HttpFile | None) -> Http | None:
    if written is None:
        return None
    return Http(hosts=written.host or (), path=written.path or "/", sticky=bool(written.sticky))


def _probe(written: file.ProbeFile | None) -> Probe:
    if written is None:
        return Probe()
    return Probe(
        kind="http" if written.path else "tcp",
        path=written.path or "/",
        interval=_or(written.interval, 2.0),
        timeout=_or(written.timeout, 2.0),
    )
