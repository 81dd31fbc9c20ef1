"""From the fleet as it stands to a denser one: which replicas to move, so that which hosts become empty.

Hosts are emptied one at a time, those with the fewest replicas first, each whole or not at all, while the moves last. A
host's replicas go where `pack` ranks them among the hosts that stay in use; a service never stands on fewer hosts or
zones than it needs to outlive a loss (rule 2), and nothing is given back that `tolerate` needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

from bayplan.facts import Facts, Replica
from bayplan.plan.board import Berth, Board
from bayplan.plan.demand import Demand, demand_of
from bayplan.plan.endure import risks
from bayplan.plan.filters import filters_of, reject
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.pack import Ranking, zone_of
from bayplan.plan.replica import definition
from bayplan.spec.model import Host, Service


@dataclass(frozen=True, slots=True)
class Move:
    """One replica from a host to another, beside itself first: the old one goes once the new one serves."""

    app: str
    service: str
    slot: int
    origin: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A host that stays in use, and why."""

    host: str
    why: str


@dataclass(frozen=True, slots=True)
class Repack:
    """moves: in order, host by host. emptied: hosts that become empty. used: hosts in use before.

    reserved, after: shares of cores and of memory that are taken of the hosts in use, before and after, in the day's
    fullest slot.
    """

    moves: tuple[Move, ...] = ()
    emptied: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    reserved: tuple[float, float] = (0.0, 0.0)
    after: tuple[float, float] = (0.0, 0.0)


def repack(goals: Mapping[str, Goal], facts: Facts, most: int | None = None) -> Repack:
    """A denser fleet in at most so many moves. goals: of the apps that stand there, one each, all on one fleet.

    The same for the same fleet; nothing to do on one that cannot be denser.
    """
    if not goals:
        return Repack()
    return _Repacking(goals, facts, most).done()


class _Repacking:
    """Boards that fill as hosts are emptied. Those of all apps share the berths."""

    def __init__(self, goals: Mapping[str, Goal], facts: Facts, most: int | None) -> None:
        self.goals, self.facts, self.left = goals, facts, most
        self.fleet = next(iter(goals.values())).fleet
        self.boards = {app: Board(goal, facts, Memory()) for app, goal in goals.items()}
        self.berths = next(iter(self.boards.values())).berths
        self.specs = {(a, s.name): definition(s, g.app) for a, g in goals.items() for s in g.app.services.values()}
        self.on: dict[str, list[Replica]] = defaultdict(list)
        for replica in (r for r in facts.replicas() if not r.ended):
            self.on[replica.host].append(replica)
        for app, board in self.boards.items():
            board.berths = self.berths
            for replica in facts.replicas(app):
                board.counts[replica.service][replica.host] += not replica.ended
        for name, berth in self.berths.items():
            berth.in_use = any(not self._is_global(r) for r in self.on[name])
        self.moves: list[Move] = []
        self.emptied: list[str] = []
        self.risks = self._risks(facts)

    def done(self) -> Repack:
        used = tuple(name for name, berth in self.berths.items() if berth.in_use)
        reserved = self._reserved(used)
        kept, place = {}, {name: number for number, name in enumerate(self.berths)}
        for name in sorted(used, key=lambda n: (len(self.on[n]), -place[n])):
            if why := self._keeps(name) or self._empty(name):
                kept[name] = why
        rest = [name for name in used if name in kept]
        told = tuple(Kept(name, kept[name]) for name in rest)
        return Repack(tuple(self.moves), tuple(self.emptied), used, told, reserved, self._reserved(rest))

    # -- one host -----------------------------------------------------------------------------------------------------

    def _keeps(self, name: str) -> str | None:
        """Why a host is not to be emptied whatever there is room for."""
        if name in self.fleet.balancer.hosts:
            return "clients come in here: it is a balancer"
        if self.fleet.registry and self.fleet.registry.host == name:
            return "the fleet's registry is here"
        if all(other == name or not berth.in_use for other, berth in self.berths.items()):
            return "no other host is in use"
        return next((why for r in self.on[name] if (why := self._stays(r))), None)

    def _stays(self, replica: Replica) -> str | None:
        """Why a replica does not move."""
        service, whole = self._service_of(replica), f"{replica.app}/{replica.service}"
        if service is None:
            return f"{whole}: no release says what it is"
        if service.is_global:
            return None
        if replica.volumes:
            return f"{whole} has its volume here (bayplan volume move)"
        if replica.job:
            return f"{whole} is a job that runs"
        if not any(self._demand(replica).peaks):
            return f"{whole} reserves nothing, so that nobody knows where it fits (bayplan size --measured)"
        if service.update.order == "stop-first":
            return f"{whole} never runs twice (order: stop-first)"
        is_current = replica.spec == self.specs[replica.app, service.name] and replica.slot <= service.replicas
        return None if is_current and replica.alive else f"{whole} is being changed, or does not run"

    def _empty(self, name: str) -> str | None:
        """Move everything off a host, or nothing; then why not."""
        moving = [r for r in self.on[name] if not self._is_global(r)]
        if self.left is not None and len(moving) > self.left:
            return f"takes {_count(len(moving), 'move')}, and {self.left} are left"
        before = {name: self.berths[name].copy()}
        self.berths[name].in_use = False
        found: list[Move] = []
        why = None
        for replica in sorted(moving, key=lambda r: (-self._size(r), r.app, r.service, r.slot)):
            move = self._moved(replica, before)
            if isinstance(move, str):
                why = move
                break
            found.append(move)
        why = why or self._unsafe(name, found)
        if why:
            self._undo(found, before)
            return why
        self._settle(name, found)
        return None

    def _settle(self, name: str, found: list[Move]) -> None:
        again = {_what(m): m for m in found}  # what came here from a host that was emptied before goes straight on
        straight = [replace(m, target=again.pop(_what(m)).target) if _what(m) in again else m for m in self.moves]
        self.moves = [*straight, *again.values()]
        self.emptied.append(name)
        self.left = None if self.left is None else self.left - len(again)
        moved = {_what(m): m.target for m in found}
        for replica in self.on.pop(name):
            if target := moved.get((replica.app, replica.service, replica.slot)):
                self.on[target].append(replace(replica, host=target))

    def _undo(self, found: Iterable[Move], before: Mapping[str, Berth]) -> None:
        for move in found:
            counts = self.boards[move.app].counts[move.service]
            counts[move.target] -= 1
            counts[move.origin] += 1
        self.berths.update(before)

    def _moved(self, replica: Replica, before: dict[str, Berth]) -> Move | str:
        """Where one replica goes, with the board changed so; or why it cannot. before: berths as they were."""
        goal, board = self.goals[replica.app], self.boards[replica.app]
        service = goal.app.services[replica.service]
        counts, origin = board.counts[service.name], replica.host
        stood, zones = self._spread(counts)
        counts[origin] -= 1
        ranking, reasons = self._ranked(service, board, goal)
        choice = ranking.best()
        if choice is None:
            counts[origin] += 1
            tightest = ", ".join(f"{n}: {why}" for n, why in list(reasons.items())[:3])
            return f"no host in use can take {replica.app}/{service.name} ({tightest})"
        berth = self.berths[choice.host]
        before.setdefault(choice.host, berth.copy())
        board.take(berth, service, board.ports_for(berth, service, goal.fleet.ports) or ())
        move = Move(replica.app, service.name, replica.slot, origin, choice.host, choice.why)
        now, zones_now = self._spread(counts)
        least = min(service.replicas, max(goal.fleet.tolerate, 1) + 1)
        if now < min(stood, least) or zones_now < min(zones, least, 2):
            self._undo((move,), {})
            what = "hosts" if now < min(stood, least) else "zones"
            return f"without it, {replica.app}/{service.name} would stand on fewer {what} than it is to"
        return move

    def _ranked(self, service: Service, board: Board, goal: Goal) -> tuple[Ranking, dict[str, str]]:
        """The other hosts that stay in use, in order, and the reasons of those that cannot take it."""
        counts, fleet, demand = board.counts[service.name], goal.fleet, board.demand(service)
        there, filters = {n: c for n, c in counts.items() if c}, filters_of(service, board)
        ranking = Ranking(service, self.berths, there, fleet.hosts, fleet.tolerate, demand)
        reasons: dict[str, str] = {}
        for name, berth in self.berths.items():
            if not berth.in_use:
                continue
            if why := reject(service, berth, board, fleet.ports, filters):
                reasons[name] = why
            ranking.update(name, able=not why)
        return ranking, reasons

    def _unsafe(self, name: str, found: Iterable[Move]) -> str | None:
        """What `tolerate` would lose if the host were given back."""
        if not self.fleet.tolerate:
            return None
        gone = {*self.emptied, name}
        after = _moved_in(self.facts, [*self.moves, *found], gone)
        worse = self._risks(after, gone) - self.risks
        return None if not worse else f"tolerate: {self.fleet.tolerate} needs it for {', '.join(sorted(worse))}"

    def _risks(self, facts: Facts, gone: Iterable[str] = ()) -> set[str]:
        """Services that a loss would leave without a place; "all" if there are too few hosts."""
        hosts: dict[str, Host] = {n: h for n, h in self.fleet.hosts.items() if n not in set(gone)}
        fleet = self.fleet.model_copy(update={"hosts": hosts})
        found = (r for goal in self.goals.values() for r in risks(replace(goal, fleet=fleet), facts))
        return {risk.service or "all" for risk in found if risk.kind != "pinned"}

    # -- figures ------------------------------------------------------------------------------------------------------

    def _spread(self, counts: Mapping[str, int]) -> tuple[int, int]:
        """On how many hosts, and in how many zones."""
        on = [name for name, has in counts.items() if has]
        return len(on), len({zone_of(self.fleet.hosts[n]) for n in on if n in self.fleet.hosts})

    def _service_of(self, replica: Replica) -> Service | None:
        """As its app's release has it, if any does."""
        goal = self.goals.get(replica.app)
        return goal.app.services.get(replica.service) if goal else None

    def _is_global(self, replica: Replica) -> bool:
        service = self._service_of(replica)
        return service is not None and service.is_global

    def _size(self, replica: Replica) -> float:
        berth, (cpus, memory) = self.berths[replica.host], self._demand(replica).peaks
        return max(cpus / (berth.cpus or 1), memory / (berth.memory or 1))

    def _demand(self, replica: Replica) -> Demand:
        return demand_of(self.fleet, replica.app, replica.service, replica.cpus, replica.memory)

    def _reserved(self, hosts: Iterable[str]) -> tuple[float, float]:
        names = list(hosts)
        engines = [self.facts.hosts[n].engine for n in names]
        on = [self._demand(r) for n in names for r in self.on[n]]
        cpus, memory = sum(e.cpus for e in engines) or 1, sum(e.memory for e in engines) or 1
        taken = reduce(lambda one, other: one.plus(other), on, Demand(0.0, 0.0)).peaks
        return taken[0] / cpus, taken[1] / memory


def _moved_in(facts: Facts, moves: Iterable[Move], gone: Iterable[str]) -> Facts:
    """The facts as they would be after the moves, without the hosts that are given back."""
    target = {_what(m): m.target for m in moves}
    on: dict[str, list[Replica]] = defaultdict(list)
    for replica in facts.replicas():
        host = target.get((replica.app, replica.service, replica.slot), replica.host)
        on[host].append(replace(replica, host=host))
    left = {n: h for n, h in facts.hosts.items() if n not in set(gone)}
    return Facts({n: replace(h, engine=replace(h.engine, replicas=tuple(on[n]))) for n, h in left.items()})


def _what(move: Move) -> tuple[str, str, int]:
    return move.app, move.service, move.slot


def by_origin(moves: Iterable[Move]) -> Iterator[tuple[str, tuple[Move, ...]]]:
    """The moves, host by host."""
    found: dict[str, list[Move]] = {}
    for move in moves:
        found.setdefault(move.origin, []).append(move)
    return ((host, tuple(there)) for host, there in found.items())


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
