"""One host: whether it is reached, its engine, its clock, disk, memory, address and ports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bayplan.converge.observe import observe
from bayplan.errors import BayplanError, HostRefusedError, HostUnreachableError, make_room
from bayplan.facts import HostFacts
from bayplan.operate.doctor import readings
from bayplan.operate.doctor.finding import Finding, failed
from bayplan.operate.doctor.readings import Readings
from bayplan.operate.doors import in_the_way
from bayplan.operate.own_address import not_its_own
from bayplan.operate.registry_door import held_by_another
from bayplan.operate.strangers import writers_on
from bayplan.ports import FleetPorts
from bayplan.spec.model import App, Fleet, Host
from bayplan.units import parse_api, show_bytes, show_seconds

HOST_DEADLINE = 30.0  # seconds for everything about one host
OLDEST_API = (1, 41)
SKEW = 2.0  # seconds that two clocks may differ
_SLOW_DRIVERS = {"vfs": "copies every layer whole", "devicemapper": "is slow, and gone from Docker 25"}
_DISK_FAIL, _DISK_WARN = (1 << 30, 0.02), (5 << 30, 0.10)  # bytes free, share free
_FILES_WARN = 0.10
_MEMORY_WARN = 0.05
_PORTS_WARN = 0.5


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found on one host. facts None: it was not reached; architecture "": the same."""

    findings: tuple[Finding, ...]
    facts: HostFacts | None = None
    architecture: str = ""


async def examine(ports: FleetPorts, host: Host, app: App | None) -> Examined:
    """Never raises an error of ours, and ends within its deadline."""
    try:
        async with asyncio.timeout(HOST_DEADLINE):
            return await _examine(ports, host, app)
    except TimeoutError:
        todo = f"try it by hand: {_by_hand(host)}"
        late = Finding("fail", "reach", host.name, f"did not answer everything within {HOST_DEADLINE:g} s", todo)
        return Examined((late,))
    except HostRefusedError as error:
        return Examined((failed("access", host.name, error),))
    except BayplanError as error:
        return Examined((failed("reach", host.name, error),))


def _by_hand(host: Host) -> str:
    return f"ssh {host.address.removeprefix('ssh://')}" if host.address.startswith("ssh://") else "docker info"


async def _examine(ports: FleetPorts, host: Host, app: App | None) -> Examined:
    engine = ports.engines[host.name]
    await engine.observe(ports.fleet.name)  # connected from here on: what follows is as quick as the engine is
    asked = time.time()
    info = await engine.info()
    answered = time.time()
    facts, found = await asyncio.gather(_observe(ports, host.name), _readings(ports, host, info))
    findings = [_reached(host, facts), *engine_findings(host.name, info, facts)]
    findings.append(clock_finding(host.name, str(info.get("SystemTime", "")), asked, answered))
    if isinstance(found, Finding):
        findings.append(found)
    else:
        findings += reading_findings(ports, host, facts, found, app)
    return Examined(tuple(findings), facts, str(info.get("Architecture", "")))


async def _observe(ports: FleetPorts, host: str) -> HostFacts:
    facts = (await observe(ports, images=False, skip=frozenset(ports.fleet.hosts) - {host})).hosts[host]
    if not facts.reachable:
        kind = HostRefusedError if facts.refused else HostUnreachableError
        raise kind(facts.why, where=host, todo=facts.todo)
    return facts


async def _readings(ports: FleetPorts, host: Host, info: Mapping[str, Any]) -> Readings | Finding:
    root = str(info.get("DockerRootDir", "/var/lib/docker"))
    try:
        return readings.read(await ports.reaches[host.name].run(readings.command(root)))
    except BayplanError as error:
        return Finding("warn", "host", host.name, f"disk, addresses and ports are not known: {error.what}", error.todo)


def _reached(host: Host, facts: HostFacts) -> Finding:
    return Finding("ok", "reach", host.name, f"{host.address}, Docker {facts.engine.version}, API {facts.engine.api}")


def engine_findings(host: str, info: Mapping[str, Any], facts: HostFacts) -> Iterator[Finding]:
    """Version, what it enforces, how it stores."""
    api = facts.engine.api
    if api and parse_api(api) < OLDEST_API:
        yield Finding("fail", "engine", host, f"API {api} is too old", "install Docker 20.10 or newer")
    if info.get("OSType", "linux") != "linux":
        yield Finding("fail", "engine", host, f"runs {info['OSType']} containers", "name a host that runs Linux ones")
    yield _storage(host, str(info.get("Driver", "")))
    version = info.get("CgroupVersion", "1")
    lacking = [n for n, k in (("memory", "MemoryLimit"), ("cpus", "CpuCfsQuota")) if info.get(k) is False]
    lacking += ["pids"] if info.get("PidsLimit") is False else []
    if lacking:
        told = f"its kernel (cgroup v{version}) cannot limit {', '.join(lacking)}"
        yield Finding("warn", "limits", host, told, "enable the cgroup controllers at boot (cgroup_enable=memory)")
    else:
        yield Finding("ok", "limits", host, f"cgroup v{version}: cores, memory and processes are enforced")


def _storage(host: str, driver: str) -> Finding:
    if driver in _SLOW_DRIVERS:
        todo = "use overlay2: set storage-driver in /etc/docker/daemon.json"
        return Finding("warn", "storage", host, f"storage driver {driver} {_SLOW_DRIVERS[driver]}", todo)
    return Finding("ok", "storage", host, f"storage driver {driver or 'not told'}")


def clock_finding(host: str, said: str, asked: float, answered: float) -> Finding:
    """said: the host's time, RFC 3339, told at some moment between asked and answered (Unix times here)."""
    try:
        there = datetime.fromisoformat(said).timestamp()
    except ValueError:
        return Finding("warn", "clock", host, f"its clock is not known ({said or 'the engine does not tell'})")
    skew = there - answered if there > answered else there - asked if there < asked else 0.0
    if abs(skew) > SKEW:
        which = "ahead of" if skew > 0 else "behind"
        told = f"its clock is {show_seconds(abs(skew))} {which} this machine's: logs are merged in the wrong order"
        return Finding("warn", "clock", host, told, "let it follow a time server: sudo timedatectl set-ntp true")
    return Finding("ok", "clock", host, "its clock agrees with this machine's")


def reading_findings(
    ports: FleetPorts, host: Host, facts: HostFacts, found: Readings, app: App | None
) -> Iterator[Finding]:
    """Disk, memory, address, ports."""
    yield _disk(host.name, found)
    yield _memory(host.name, found)
    yield _address(ports.fleet, host, found)
    yield from _ports(ports, host, facts, found)
    if held := held_by_another(ports.fleet, facts, found.listening):
        yield Finding("fail", "registry", host.name, held.why, held.todo)
    for taken in in_the_way(app, facts, found.listening, ports.fleet.balancer.hosts) if app else ():
        yield Finding("fail", "listener", host.name, taken.why, taken.todo)
    for shared in writers_on(app, facts) if app else ():
        yield Finding("fail", "volume", host.name, shared.why, shared.todo)


def _disk(host: str, r: Readings) -> Finding:
    share = r.disk_free / r.disk_total if r.disk_total else 1.0
    told = f"{show_bytes(r.disk_free)} of {show_bytes(r.disk_total)} free where images are kept"
    todo = make_room(host)
    if r.disk_free < _DISK_FAIL[0] or share < _DISK_FAIL[1]:
        return Finding("fail", "disk", host, f"only {told}", todo)
    if r.disk_free < _DISK_WARN[0] or share < _DISK_WARN[1]:
        return Finding("warn", "disk", host, f"only {told}", todo)
    if r.files_total and (left := r.files_free / r.files_total) < _FILES_WARN:
        told = f"only {r.files_free} more files have room where images are kept, of {r.files_total}"
        return Finding("fail" if left < _DISK_FAIL[1] else "warn", "disk", host, told, todo)
    return Finding("ok", "disk", host, told)


def _memory(host: str, r: Readings) -> Finding:
    told = f"{show_bytes(r.memory_free)} of {show_bytes(r.memory_total)} available"
    if r.memory_total and r.memory_free / r.memory_total < _MEMORY_WARN:
        return Finding("warn", "memory", host, f"only {told}", "see what uses it: bayplan stats")
    return Finding("ok", "memory", host, told)


def _address(fleet: Fleet, host: Host, r: Readings) -> Finding:
    if wrong := not_its_own(host, r.addresses, fleet.private_net):
        return Finding("fail", "private_ip", host.name, wrong.why, wrong.todo)
    return Finding("ok", "private_ip", host.name, f"{host.private_ip} is the host's")


def _ports(ports: FleetPorts, host: Host, facts: HostFacts, r: Readings) -> Iterator[Finding]:
    first, last = ports.fleet.ports
    bindings = [c.ports for c in facts.engine.replicas] + [c.ports for c in facts.engine.system]
    ours = {b.port for own in bindings for b in own}
    published = {port for _, port in facts.engine.taken}
    listened = {door.port for door in r.listening}
    foreign = {p for p in listened | published if first <= p <= last} - ours
    total = last - first + 1
    if len(foreign) > total * _PORTS_WARN:
        told = f"{len(foreign)} of the {total} ports {first}-{last} are taken by others"
        yield Finding("warn", "ports", host.name, told, "give the fleet another range: ports in fleet.yaml")
    else:
        taken = f", {len(foreign)} taken by others" if foreign else ""
        yield Finding("ok", "ports", host.name, f"ports {first}-{last} are for replicas{taken}")
    low, high = r.outgoing
    if low <= last and first <= high:
        told = f"outgoing connections use ports {low}-{high}, which are the fleet's {first}-{last} too"
        todo = "set net.ipv4.ip_local_port_range to other ports, or ports in fleet.yaml"
        yield Finding("warn", "ports", host.name, told, todo)
