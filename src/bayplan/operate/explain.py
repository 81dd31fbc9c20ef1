"""Why each replica is where it is, and what each host says to one more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bayplan.facts import Facts
from bayplan.operate.release import check_known
from bayplan.operate.status import standing
from bayplan.plan.board import Board
from bayplan.plan.demand import Demand
from bayplan.plan.filters import reject
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.pack import Ranking, hosts_apart
from bayplan.ports import FleetPorts
from bayplan.spec.model import Service
from bayplan.units import show_bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """One host on one more replica. has: replicas of the service there now."""

    host: str
    has: int
    could: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class Explained:
    """One service; `explain --json` is a list of these."""

    service: str
    summary: str
    hosts: tuple[Verdict, ...]
    notes: tuple[str, ...]


async def explain(ports: FleetPorts, app: str, service: str | None) -> tuple[Explained, ...]:
    """Every service of the app, or one. Raises UsageError for one that it does not have."""
    found = await standing(ports, app)
    services = found.goal.app.services
    check_known(found.goal.app, [service] if service is not None else [])
    asked = services.values() if service is None else [services[service]]
    return tuple(_explain(found.goal, s, found.facts) for s in asked)


def _explain(goal: Goal, service: Service, facts: Facts) -> Explained:
    board = Board(goal, facts, Memory())
    counts = Counter(r.host for r in facts.replicas(goal.app.name, service.name))
    board.counts[service.name].update(counts)
    rejected = {
        name: reason for name, b in board.berths.items() if (reason := reject(service, b, board, goal.fleet.ports))
    }
    ranking = Ranking(service, board.berths, counts, goal.fleet.hosts, goal.fleet.tolerate, board.demand(service))
    for name in board.berths:
        ranking.update(name, able=name not in rejected)
    best = ranking.best()
    hosts = []
    for name, host in facts.hosts.items():
        if not host.reachable:
            hosts.append(Verdict(name, 0, could=False, verdict=host.silence))
        elif name in rejected:
            hosts.append(Verdict(name, counts[name], could=False, verdict=rejected[name]))
        elif best and best.host == name:
            hosts.append(Verdict(name, counts[name], could=True, verdict=f"the next one would go here: {best.why}"))
        else:
            hosts.append(Verdict(name, counts[name], could=True, verdict=_could(ranking, name)))
    demand = board.demand(service)
    return Explained(service.name, _summary(service, demand), tuple(hosts), tuple(_notes(goal, service, demand)))


def _could(ranking: Ranking, host: str) -> str:
    return f"could take one ({ranking.room(host)} free), but {ranking.against(host)}"


def _summary(service: Service, demand: Demand) -> str:
    many = "one a host" if service.is_global else f"{service.replicas}"
    cores, memory = demand.peaks
    if not (cores or memory):
        return f"{many} wanted; each reserves nothing"
    told = f"{cores:g} cores and {show_bytes(memory)}"
    if demand.is_over_day:
        return f"{many} wanted; each uses up to {told} over the day (the fleet file's usage)"
    return f"{many} wanted; each reserves {told}"


def _notes(goal: Goal, service: Service, demand: Demand) -> list[str]:
    """The rules that decide."""
    rules = ["what runs stays where it runs"]
    if any(demand.peaks):
        apart = hosts_apart(service, goal.fleet.tolerate)
        spread = [f"at least {apart} hosts", "two zones"] if apart > 1 else []
        order = [*spread, "hosts in use before empty ones", "the fewest of it", "the free room most like what it asks"]
        rules.append(f"a new replica is packed: {', then '.join(order)}")
    else:
        rules.append("it reserves nothing, so a new replica is spread: the host with the fewest of it, then the zone")
    rules += [f"it must have {c}" for c in service.placement.constraints]
    if service.placement.max_per_host is not None:
        rules.append(f"at most {service.placement.max_per_host} a host")
    if goal.fleet.headroom:
        rules.append(f"{goal.fleet.headroom:.0%} of every host is kept free")
    return rules
