"""The app of a Compose file and the fleet that is there, as a packing problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bayplan.converge.observe import answered, observe
from bayplan.errors import Mistake, SpecError
from bayplan.facts import Facts, HostFacts
from bayplan.operate.size.reading import Asked, shortage
from bayplan.plan.constraints import unmet
from bayplan.plan.demand import Demand, demand_of
from bayplan.plan.packing.amount import Amount
from bayplan.plan.packing.problem import Apart, HostType, Load, Problem
from bayplan.plan.replica import fixed_ports, host_ports
from bayplan.ports import FleetPorts
from bayplan.spec.model import App, Fleet, Service, Usage
from bayplan.units import show_bytes

_FILE = "compose.yaml"
_GB = 1024**3


async def ask_fleet(
    ports: FleetPorts, app: App, *, headroom: float, tolerate: int, usage: Mapping[str, Usage] | None = None
) -> Asked:
    """What the app needs, and other apps' replicas beside it, on the hosts that answer.

    usage: in place of what the fleet file knows of it.

    Memory counts in GiB. Raises NoHostError, and SpecError for services that fit on no host.
    """
    facts = answered(ports.fleet, await observe(ports))
    fleet = ports.fleet if usage is None else ports.fleet.model_copy(update={"usage": usage})
    return asked_of(app, fleet, facts, headroom=headroom, tolerate=tolerate)


def asked_of(app: App, fleet: Fleet, facts: Facts, *, headroom: float, tolerate: int) -> Asked:
    """The problem of an app on a fleet as it was observed."""
    services = [s for s in app.services.values() if s.replicas]
    groups = _alike(services, fleet, [h for h in facts.reachable() if h.name in fleet.hosts])
    types = [group.type() for group in groups]
    loads = [_load(s, groups, fleet, app.name) for s in services] + list(_others(app.name, fleet, facts))
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


def _load(service: Service, groups: Sequence[_Group], fleet: Fleet, app: str) -> Load:
    may = frozenset(group.name for group in groups if service.name in group.services)
    limit = 1 if host_ports(service) else service.placement.max_per_host
    if service.replicas > 1 and sum(len(group.hosts) for group in groups) > 1:  # never all of it on one host (rule 2)
        limit = min(service.replicas - 1, limit or service.replicas)
    asked = service.resources
    demand = _demand(demand_of(fleet, app, service.name, asked.reserved_cpus, asked.reserved_memory))
    return Load(service.name, service.replicas, demand, limit, None if len(may) == len(groups) else may)


def _demand(one: Demand) -> dict[str, Amount]:
    """By resource, memory in GiB."""
    memory = tuple(m / _GB for m in one.memory) if isinstance(one.memory, tuple) else one.memory / _GB
    return {"cpu": one.cpus, "memory": memory}


def _others(app: str, fleet: Fleet, facts: Facts) -> Iterator[Load]:
    """Replicas of other apps, as they stand: they take room too."""
    found = Counter(
        (f"{r.app}/{r.service}", demand_of(fleet, r.app, r.service, r.cpus, r.memory))
        for host in facts.reachable()
        for r in host.engine.replicas
        if r.app != app
    )
    seen: Counter[str] = Counter()
    for (name, demand), count in sorted(found.items(), key=lambda item: (item[0][0], item[0][1].peaks)):
        seen[name] += 1
        told = name if seen[name] == 1 else f"{name} ({seen[name]})"
        yield Load(told, count, _demand(demand))


def _same_ports(services: Sequence[Service]) -> Iterator[Apart]:
    """Two services that are to have the same port of their host never share one."""
    ports = {s.name: fixed_ports(s) for s in services}
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
