"""From the engine's list of containers to facts. Values in, values out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Any, cast, get_args

from bayplan import labels
from bayplan.facts import (
    Binding,
    ContainerState,
    EngineFacts,
    Health,
    OneOff,
    Replica,
    Role,
    Stranger,
    SystemContainer,
    VolumeFacts,
)
from bayplan.ports import VolumeEntry

Entry = Mapping[str, Any]  # one element of GET /containers/json

_ROLES = get_args(Role)
_EXITED = re.compile(r"^(?:Exited|Restarting) \((-?\d+)\)")
_YOUNG = "Up Less than a second"  # the engine's words for what it has just started, or restarted
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_LIVES = frozenset({"running", "paused", "restarting"})
_BINDING = re.compile(r"^(\d+)=(.+):(\d+)/(tcp|udp)$")


@dataclass(frozen=True, slots=True)
class Engine:
    """What does not change while an engine runs. pools: where it is set to have its networks' addresses; (): unset."""

    version: str
    api: str
    cpus: float
    memory: int
    log_driver: str = "json-file"
    arch: str = ""
    pools: tuple[IPv4Network, ...] = ()


def read(
    entries: Iterable[Entry],
    networks: Mapping[str, str],
    engine: Engine,
    host: str,
    fleet: str,
    volumes: Iterable[VolumeEntry] = (),
) -> EngineFacts:
    """The facts of one fleet. A container whose labels are not as we write them is foreign.

    networks: ids of the fleet's own by name.
    """
    replicas: list[Replica] = []
    system: list[SystemContainer] = []
    oneoffs: list[OneOff] = []
    taken: set[tuple[str, int]] = set()
    strangers: list[Stranger] = []
    for entry in entries:
        ours = _ours(entry, host, fleet)
        match ours:
            case Replica():
                replicas.append(replace(ours, cut=_is_cut(entry, networks)))
            case SystemContainer():
                system.append(ours)
            case OneOff():
                oneoffs.append(ours)
            case None:
                taken |= set(_published(entry))
                strangers += _stranger(entry, fleet)
    return EngineFacts(
        version=engine.version,
        api=engine.api,
        cpus=engine.cpus,
        memory=engine.memory,
        replicas=tuple(replicas),
        system=tuple(system),
        taken=frozenset(taken),
        networks=frozenset(networks),
        arch=engine.arch,
        volumes={v.name: VolumeFacts(v.driver, v.options) for v in volumes},
        oneoffs=tuple(oneoffs),
        strangers=tuple(strangers),
    )


def volumes(entries: Iterable[Entry], containers: Iterable[Entry] = ()) -> tuple[VolumeEntry, ...]:
    """From the engine's lists of volumes and of containers that may use them."""
    users: dict[str, dict[str, bool]] = defaultdict(dict)
    for container in containers:
        for mount in container.get("Mounts") or ():
            if mount.get("Type") == "volume":
                users[mount.get("Name", "")][_name(container)] = container["State"] == "running"
    return tuple(
        VolumeEntry(v["Name"], v["Driver"], v.get("Labels") or {}, v.get("Options") or {}, users.get(v["Name"], {}))
        for v in entries
    )


def bindings(text: str) -> tuple[Binding, ...]:
    """The PORTS label: "80=10.77.0.11:20080/tcp,…". Raises ValueError."""
    return tuple(_binding(part) for part in text.split(",") if part)


def health(status: str) -> Health:
    """From "Up 5 minutes (healthy)", "Up 1 second (health: starting)"."""
    found = _HEALTH.search(status)
    return cast("Health", found[1]) if found else "none"


def exit_code(status: str) -> int | None:
    """From "Exited (137) 3 seconds ago", "Restarting (1) 2 seconds ago"."""
    found = _EXITED.match(status)
    return int(found[1]) if found else None


def _ours(entry: Entry, host: str, fleet: str) -> Replica | SystemContainer | OneOff | None:
    told = entry.get("Labels") or {}
    if told.get(labels.FLEET) != fleet:
        return None
    try:
        match told[labels.ROLE]:
            case "replica":
                return _replica(entry, told, host)
            case "run":
                return _oneoff(entry, told, host)
            case _:
                return _system(entry, told)
    except (KeyError, ValueError):
        return None


def _replica(entry: Entry, told: Mapping[str, str], host: str) -> Replica:
    status = entry.get("Status", "")
    return labels.replica(
        told,
        container=entry["Id"],
        name=_name(entry),
        host=host,
        state=_state(entry),
        image=entry.get("Image", ""),
        ports=bindings(told.get(labels.PORTS, "")),
        health=health(status),
        exit_code=exit_code(status),
        made=float(entry.get("Created", 0)),
        young=status.startswith(_YOUNG),
    )


def _is_cut(entry: Entry, networks: Mapping[str, str]) -> bool:
    """Of one that was never started, the engine knows no network's id."""
    attached = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    made_in = {name: seen.get("NetworkID") or networks.get(name) for name, seen in attached.items()}
    return any(made_in[name] != networks[name] for name in made_in if name in networks)


def _oneoff(entry: Entry, told: Mapping[str, str], host: str) -> OneOff:
    return OneOff(
        name=_name(entry),
        host=host,
        app=told[labels.APP],
        service=told[labels.SERVICE],
        state=_state(entry),
        image=entry.get("Image", ""),
    )


def _system(entry: Entry, told: Mapping[str, str]) -> SystemContainer:
    role = told[labels.ROLE]
    if role not in _ROLES:
        msg = f"no role of ours: {role}"
        raise ValueError(msg)
    return SystemContainer(
        id=entry["Id"],
        role=cast("Role", role),
        spec=told[labels.SPEC],
        state=_state(entry),
        ports=bindings(told.get(labels.PORTS, "")),
        name=_name(entry),
    )


def _name(entry: Entry) -> str:
    return str(entry["Names"][0]).lstrip("/")


def _state(entry: Entry) -> ContainerState:
    state = entry["State"]
    if state not in get_args(ContainerState):
        msg = f"no state that we know: {state}"
        raise ValueError(msg)
    return cast("ContainerState", state)


def _binding(text: str) -> Binding:
    match = _BINDING.match(text)
    if match is None:
        msg = f"not a binding: {text}"
        raise ValueError(msg)
    protocol = cast("Any", match[4])
    return Binding(target=int(match[1]), port=int(match[3]), address=match[2], protocol=protocol)


def _stranger(entry: Entry, fleet: str) -> Iterator[Stranger]:
    told = entry.get("Labels") or {}
    if entry["State"] in _LIVES and told.get(labels.FLEET) != fleet:
        volumes = (m for m in entry.get("Mounts") or () if m.get("Type") == "volume" and m.get("RW", True))
        writes = frozenset(m.get("Name", "") for m in volumes)
        project, other = told.get(labels.COMPOSE_PROJECT, ""), told.get(labels.FLEET, "")
        yield Stranger(_name(entry), project, other, frozenset(_published(entry)), writes)


def _published(entry: Entry) -> Iterator[tuple[str, int]]:
    """What it publishes now, and what another fleet's container will publish when it starts again."""
    for port in entry.get("Ports") or ():
        if port.get("PublicPort"):
            yield port["Type"], port["PublicPort"]
    try:
        promised = bindings((entry.get("Labels") or {}).get(labels.PORTS, ""))
    except ValueError:
        return
    yield from ((b.protocol, b.port) for b in promised)
