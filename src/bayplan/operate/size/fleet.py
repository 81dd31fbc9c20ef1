"""The app of a Compose file and the fleet that is there, as a packing problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bayplan.converge.observe import observe
from bayplan.errors import Mistake, SpecError
from bayplan.facts import Facts, HostFacts
from bayplan.operate.ask import answered
from bayplan.operate.size.reading import Asked, shortage
from bayplan.plan.filters import unmet
from bayplan.plan.packing.problem import Apart, HostType, Load, Problem
from bayplan.plan.replica import host_ports
from bayplan.ports import FleetPorts
from bayplan.spec.model import App, Fleet, Service
from bayplan.units import show_bytes

_FILE = "compose.yaml"
_GB = 1024**3


async def ask_fleet(ports: FleetPorts, app: App, *, headroom: float, tolerate: int) -> Asked:
    """What the app needs, and other apps' replicas beside it, on the hosts that answer.

    Memory counts in GiB. Raises NoHostError, and SpecError for services that fit on no host.
    """
    facts = answered(ports.fleet, await observe(ports))
    return asked_of(app, ports.fleet, facts, headroom=headroom, tolerate=tolerate)


def asked_of(app: App, fleet: Fleet, facts: Facts, *, headroom: float, tolerate: int) -> Asked:
    """The problem of an app on a fleet as it was observed."""
    services = [s for s in app.services.values() if s.replicas]
    groups = _alike(services, fleet, [h for h in facts.reachable() if h.name in fleet.hosts])
    types = [group.type() for group in groups]
    loads = [_load(s, groups) for s in services] + list(_others(app.name, facts))
    problem = Problem(types, loads, tuple(_same_ports(services)), headroom, tolerate)
    _refuse_unfit(problem)
    hosts = {group.name: group.hosts for group in groups}
    return Asked(problem, _FILE, "the fleet", {}, {}, hosts)


@dataclass(frozen=True, slots=True)
class _Group:
    """Hosts of the same size, on which the same services may stand."""

    name: str
    hosts: tuple[str, ...]
    cpus: float
    memory: int
    services: frozenset[str]

    def type(self) -> HostType:
        return HostType(self.name, {"cpu": self.cpus, "memory": self.memory / _GB}, len(self.hosts))


def _alike(services: Sequence[Service], fleet: Fleet, hosts: Sequence[HostFacts]) -> list[_Group]:
    found: dict[tuple[float, int, frozenset[str]], list[str]] = {}
    for host in hosts:
        may = frozenset(s.name for s in services if unmet(s, fleet.hosts[host.name], host.engine.arch) is None)
        found.setdefault((host.engine.cpus, host.engine.memory, may), []).append(host.name)
    sizes = Counter((cpus, memory) for cpus, memory, _ in found)
    groups = []
    for (cpus, memory, may), names in found.items():
        name = f"{cpus:g} cores {show_bytes(memory)}"
        name = name if sizes[cpus, memory] == 1 else f"{name} ({', '.join(names[:3])}{'…' if names[3:] else ''})"
        groups.append(_Group(name, tuple(names), cpus, memory, may))
    return groups


def _load(service: Service, groups: Sequence[_Group]) -> Load:
    may = frozenset(group.name for group in groups if service.name in group.services)
    limit = 1 if host_ports(service) else service.placement.max_per_host
    if service.replicas > 1 and sum(len(group.hosts) for group in groups) > 1:  # never all of it on one host (rule 2)
        limit = min(service.replicas - 1, limit or service.replicas)
    resources = service.resources
    demand = {"cpu": resources.reserved_cpus, "memory": resources.reserved_memory / _GB}
    return Load(service.name, service.replicas, demand, limit, None if len(may) == len(groups) else may)


def _others(app: str, facts: Facts) -> Iterator[Load]:
    """Replicas of other apps, as they stand: they take room too."""
    found = Counter(
        (f"{r.app}/{r.service}", r.cpus, r.memory)
        for host in facts.reachable()
        for r in host.engine.replicas
        if r.app != app
    )
    seen: Counter[str] = Counter()
    for (name, cpus, memory), count in sorted(found.items()):
        seen[name] += 1
        told = name if seen[name] == 1 else f"{name} ({seen[name]})"
        yield Load(told, count, {"cpu": cpus, "memory": memory / _GB})


def _same_ports(services: Sequence[Service]) -> Iterator[Apart]:
    """Two services that are to have the same port of their host never share one."""
    ports: Mapping[str, set[tuple[str, int]]] = {
        s.name: {(p.protocol, p.published) for p in host_ports(s)} for s in services
    }
    for one in services:
        for other in services:
            if one.name < other.name and ports[one.name] & ports[other.name]:
                yield Apart(one.name, other.name, 0)


def _refuse_unfit(problem: Problem) -> None:
    mistakes = []
    for load in problem.loads:
        able = [t for t in problem.types if load.types is None or t.name in load.types]
        if not able:
            what = f"{load.name} may stand on no host: none meets its constraints"
            mistakes.append(Mistake(what, _FILE, todo=f"bayplan explain {load.name} tells each host's reason"))
            continue
        if nearest := shortage(load, able, problem.headroom):
            what = f"{load.name} fits on no host: {nearest.resource}: {nearest.told(problem.headroom)}"
            mistakes.append(Mistake(what, _FILE, todo="lower what it reserves, or add a larger host"))
    if mistakes:
        raise SpecError(mistakes)
