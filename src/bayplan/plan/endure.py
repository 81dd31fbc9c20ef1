"""Whether what stands survives the loss of hosts, as `tolerate` in fleet.yaml asks; told of where it does not.

After the loss of any n hosts, what stood on them and can move is to fit on the rest, by the filters of every plan. It
is tried: the largest first, each onto a host that has none of its service if one has room, on the emptiest host, and,
should that end badly, on the fullest. What is bound to its host by a volume is lost with it until it is back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations
from math import comb
from typing import Literal

from bayplan.facts import Facts, Replica
from bayplan.plan.board import Berth, Board
from bayplan.plan.demand import Demand, fullest
from bayplan.plan.filters import ROUNDING, filters_of, reject
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.names import half_name
from bayplan.plan.packing.amount import peak
from bayplan.plan.steps import Rejection
from bayplan.spec.model import Resources, Service

MOST_LOSSES = 1_000  # that are tried; of more, those of the fullest hosts (and, of several at once, the emptiest)


@dataclass(frozen=True, slots=True)
class Risk:
    """A loss that is not survived. hosts: lost; count: replicas of the service for which no place is left.

    pinned: with its volume, so that it can stand nowhere else. two volumes: what it would begin with on the second of
    the hosts is not what it has on the first; volume: their name. made otherwise: volume is there, on one host, and
    is not as the file says: made is how.
    """

    kind: Literal["no room", "pinned", "no host", "two volumes", "made otherwise"]
    hosts: tuple[str, ...]
    service: str
    count: int
    why: tuple[Rejection, ...] = ()
    volume: str = ""
    made: str = ""

    def told(self) -> str:
        """In words."""
        lost = " and ".join(self.hosts)
        if self.kind == "pinned":
            return f"{self.service} stands on {lost} with its volume: if {lost} is lost, it waits until that is back"
        if self.kind == "two volumes":
            home, other = self.hosts
            return (
                f"{self.service} lives on {home} with {self.volume}; {other} has one of that name, too, and with that "
                f"it would begin if {home} were lost: remove it (bayplan volume rm {self.volume} --host {other})"
            )
        if self.kind == "made otherwise":
            return (
                f"{self.volume} on {lost} was made with {self.made}, the file says otherwise by now, and it stays as "
                "it is. Another name: in the file makes a new one; or take it away with what is in it (bayplan down, "
                f"bayplan volume rm {self.volume} --host {lost})"
            )
        if self.kind == "no host":
            return f"{self.count} hosts may be lost, and there are no more than {len(self.hosts)}"
        return f"if {lost} {'is' if len(self.hosts) == 1 else 'are'} lost, {self.count} of {self.service} find no place"


def risks(goal: Goal, facts: Facts) -> tuple[Risk, ...]:
    """What `tolerate` asks for and the fleet cannot give, for the app and what stands beside it; and what a loss would
    have taken for a service's volume.

    Of each service the first loss that it does not survive.
    """
    lost, standing = goal.fleet.tolerate, _standing(goal, facts)
    twice = tuple(_twice(goal, standing, facts))
    changed = tuple(dict.fromkeys(_made_otherwise(goal, facts)))
    return (*twice, *changed, *(_unsurvived(goal, facts, standing, lost) if lost else ()))


def _twice(goal: Goal, standing: Sequence[Replica], facts: Facts) -> Iterator[Risk]:
    """Volumes of the app's services that another host has as well, by name."""
    for replica in (r for r in standing if r.app == goal.app.name):
        for volume in replica.volumes:
            for host in facts.reachable():
                is_whole = half_name(volume) not in host.engine.volumes
                if host.name != replica.host and volume in host.engine.volumes and is_whole:
                    yield Risk("two volumes", (replica.host, host.name), replica.service, 1, volume=volume)


def _made_otherwise(goal: Goal, facts: Facts) -> Iterator[Risk]:
    """Volumes of the app's services that were made before the file said how they are to be."""
    for replica in (r for r in facts.replicas(goal.app.name) if r.service in goal.app.services):
        for mount in (m for m in goal.app.services[replica.service].mounts if m.kind == "volume"):
            volume = goal.app.volumes.get(mount.source)
            there = facts.hosts[replica.host].engine.volumes.get(volume.name) if volume else None
            if volume is None or there is None or volume.external:
                continue
            if (there.driver, there.options) != (volume.driver, volume.driver_opts):
                options = " ".join(f"{k}={v}" for k, v in sorted(there.options.items()))
                made = f"the driver {there.driver}" + (f" ({options})" if options else "")
                yield Risk("made otherwise", (replica.host,), replica.service, 1, volume=volume.name, made=made)


def _unsurvived(goal: Goal, facts: Facts, standing: Sequence[Replica], lost: int) -> tuple[Risk, ...]:
    bound = Counter((r.service, r.host) for r in standing if r.volumes and r.app == goal.app.name)
    pinned = tuple(Risk("pinned", (host,), service, count) for (service, host), count in bound.items())
    board = Board(goal, facts, Memory())
    if len(board.berths) <= lost:
        return (Risk("no host", tuple(board.berths), "", lost), *pinned)
    return (*_Trial(goal, board, [r for r in standing if not r.volumes]).risks(lost), *pinned)


def _standing(goal: Goal, facts: Facts) -> list[Replica]:
    """One replica a slot: of two, that of the later release, which is to stay."""
    found: dict[tuple[str, str, int], Replica] = {}
    for replica in sorted(facts.replicas(), key=lambda r: r.release):
        is_mine = replica.app == goal.app.name
        if not (replica.job or replica.state == "removing" or (not is_mine and not _moves(replica))):
            found[replica.app, replica.service, replica.slot] = replica
    services = goal.app.services
    return [r for r in found.values() if r.app != goal.app.name or _is_wanted(services.get(r.service), r)]


def _moves(replica: Replica) -> bool:
    """Whether one of another app would be started elsewhere: nothing is known of it but what it is."""
    return not replica.everywhere and replica.state == "running"


def _is_wanted(service: Service | None, replica: Replica) -> bool:
    return service is not None and not service.is_global and replica.slot <= service.replicas


class _Trial:
    """Losses, tried on a board that is as before after each."""

    def __init__(self, goal: Goal, board: Board, movable: Sequence[Replica]) -> None:
        self.goal, self.board = goal, board
        self.on: dict[str, list[Service]] = defaultdict(list)
        for replica in movable:
            service = _service(goal, replica)
            self.on[replica.host].append(service)
            board.counts[service.name][replica.host] += 1
        self.most_cpus = max((b.cpus for b in board.berths.values()), default=0) or 1
        self.most_memory = max((b.memory for b in board.berths.values()), default=0) or 1
        self.by_room = sorted(board.berths, key=lambda name: -self._room(board.berths[name]))

    def risks(self, lost: int) -> Iterator[Risk]:
        told: set[str] = set()
        for hosts in self._losses(lost):
            yield from self._homeless(hosts, told)

    def _losses(self, lost: int) -> Iterator[tuple[str, ...]]:
        full = list(reversed(self.by_room))
        if lost == 1:  # an empty one takes nothing with it; with others, it takes their refuge
            full = [name for name in full if name in self.on]
        ends = dict.fromkeys(name for pair in zip(full, reversed(full), strict=True) for name in pair)
        names = list(ends if lost > 1 else full)
        while comb(len(names), lost) > MOST_LOSSES:
            names.pop()
        return combinations(names, lost)

    def _homeless(self, hosts: tuple[str, ...], told: set[str]) -> Iterator[Risk]:
        """Of services that no risk was told of yet, which are noted."""
        left = [name for name in self.by_room if name not in hosts]
        with closing(self._tried(hosts, left)) as first:
            if next(first, None) is None:
                return
        count: Counter[str] = Counter()
        why: dict[str, tuple[Rejection, ...]] = {}
        for service in self._tried(hosts, left[::-1]):
            count[service.name] += 1
            if service.name not in told:
                told.add(service.name)
                why[service.name] = self._why_not(service, left)
        for name, reasons in why.items():
            yield Risk("no room", hosts, name, count[name], reasons)

    def _tried(self, hosts: tuple[str, ...], left: list[str]) -> Generator[Service]:
        """What finds no place on hosts in that order, as it is found; the board is as it was at the end."""
        moving = sorted((s for h in hosts for s in self.on[h]), key=lambda s: (-self._size(s), s.name))
        before: dict[str, Berth] = {}
        placed: list[tuple[str, str]] = []
        try:
            for service in moving:
                host = self._place_for(service, left)
                if host is None:
                    yield service
                    continue
                berth = self.board.berths[host]
                before.setdefault(host, berth.copy())
                self.board.take(berth, service, self.board.ports_for(berth, service, self.goal.fleet.ports) or ())
                placed.append((service.name, host))
        finally:
            self.board.berths.update(before)
            for name, host in placed:
                self.board.counts[name][host] -= 1

    def _place_for(self, service: Service, left: list[str]) -> str | None:
        counts, demand = self.board.counts[service.name], self.board.demand(service)
        filters, ports = filters_of(service, self.board), self.goal.fleet.ports
        apart = (n for n in left if not counts[n] and _has_room(self.board.berths[n], demand))
        beside = (n for n in left if counts[n] and _has_room(self.board.berths[n], demand))
        for name in chain(apart, beside):
            if reject(service, self.board.berths[name], self.board, ports, filters) is None:
                return name
        return None

    def _why_not(self, service: Service, left: list[str]) -> tuple[Rejection, ...]:
        ports, filters = self.goal.fleet.ports, filters_of(service, self.board)
        reasons = ((n, reject(service, self.board.berths[n], self.board, ports, filters)) for n in sorted(left))
        return tuple(Rejection(name, why) for name, why in reasons if why)

    def _size(self, service: Service) -> float:
        """The larger share of the largest host."""
        cpus, memory = self.board.demand(service).peaks
        return max(cpus / self.most_cpus, memory / self.most_memory)

    def _room(self, berth: Berth) -> float:
        cpus = (berth.cpus - peak(berth.used_cpus)) / (berth.cpus or 1)
        return min(cpus, (berth.memory - peak(berth.used_memory)) / (berth.memory or 1))


def _has_room(berth: Berth, asked: Demand) -> bool:
    """Quickly, before every filter is asked."""
    used, wanted = fullest(berth.used_memory, asked.memory)
    if wanted and used + wanted > berth.memory:
        return False
    used, wanted = fullest(berth.used_cpus, asked.cpus)
    return not wanted or used + wanted <= berth.cpus + ROUNDING


def _service(goal: Goal, replica: Replica) -> Service:
    """Its own, or, of another app, one that takes as much."""
    if replica.app == goal.app.name:
        return goal.app.services[replica.service]
    return _stranger(f"{replica.app}/{replica.service}", replica.cpus, replica.memory)


@lru_cache(maxsize=10_000)
def _stranger(name: str, cpus: float, memory: int) -> Service:
    return Service(name=name, resources=Resources(reserved_cpus=cpus, reserved_memory=memory))
