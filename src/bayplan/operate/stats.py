"""What replicas use now, and their hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from bayplan.errors import BayplanError
from bayplan.facts import HostFacts, Replica
from bayplan.operate.ask import ask_all, check_services, replicas_of
from bayplan.ports import FleetPorts, Usage

USAGE_DEADLINE = 10.0  # seconds; an engine takes one to two to measure
AT_ONCE = 32  # replicas of one host that are measured at a time


@dataclass(frozen=True, slots=True)
class ReplicaUse:
    """One replica. why: the reason that it was not measured, "" if it was; then every number is 0."""

    name: str
    service: str
    host: str
    cpus: float = 0.0
    memory: int = 0
    memory_limit: int = 0
    net_rx: int = 0
    net_tx: int = 0
    processes: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """Cores, or bytes: what the replicas shown use, and what the host has."""

    used: float
    total: float


@dataclass(frozen=True, slots=True)
class HostUse:
    """One host. why: the reason that it did not answer, "" if it did."""

    host: str
    replicas: int
    cpus: Share
    memory: Share
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """`stats --json` is this."""

    fleet: str
    app: str
    replicas: tuple[ReplicaUse, ...]
    hosts: tuple[HostUse, ...]


async def stats(ports: FleetPorts, app: str, services: frozenset[str]) -> Stats:
    """One reading of every running replica of these services (none named: all). Raises NoHostError, UsageError."""
    facts = await ask_all(ports)
    await check_services(ports, facts, app, services)
    gates: Mapping[str, asyncio.Semaphore] = {h: asyncio.Semaphore(AT_ONCE) for h in facts.hosts}
    running = [r for r in replicas_of(facts, app, services) if r.state in ("running", "paused")]
    used = await asyncio.gather(*(_measure(ports, r, gates[r.host]) for r in running))
    return Stats(ports.fleet.name, app, tuple(used), tuple(_host(h, used) for h in facts.hosts.values()))


async def _measure(ports: FleetPorts, replica: Replica, gate: asyncio.Semaphore) -> ReplicaUse:
    try:
        async with gate, asyncio.timeout(USAGE_DEADLINE):
            return _use(replica, await ports.engines[replica.host].usage(replica.name))
    except TimeoutError:
        return ReplicaUse(replica.name, replica.service, replica.host, why=f"no answer within {USAGE_DEADLINE:g} s")
    except BayplanError as error:
        return ReplicaUse(replica.name, replica.service, replica.host, why=error.what)


def _use(replica: Replica, u: Usage) -> ReplicaUse:
    return ReplicaUse(
        replica.name,
        replica.service,
        replica.host,
        cpus=round(u.cpus, 4),
        memory=u.memory,
        memory_limit=u.memory_limit,
        net_rx=u.net_rx,
        net_tx=u.net_tx,
        processes=u.processes,
    )


def _host(host: HostFacts, used: list[ReplicaUse]) -> HostUse:
    own = [u for u in used if u.host == host.name]
    cpus = Share(round(sum(u.cpus for u in own), 4), host.engine.cpus)
    return HostUse(host.name, len(own), cpus, Share(sum(u.memory for u in own), host.engine.memory), host.why)
