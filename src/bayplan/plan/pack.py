"""Which of the hosts that may take a replica gets it.

A service that reserves something, or whose usage is known, is packed: onto the hosts that are in use, before an empty
one is opened. What outranks that, in this order: what the file wants spread; the loss of `tolerate` hosts (of one, at
least), which is to leave it on two hosts still, if it has replicas enough (rule 2 of the design holds after it, too);
a second zone. Of hosts in use that are left, those with the fewest of the service; then the one whose free cores and
memory are most like what a replica asks for (the dot product of the two, each resource weighing as much as the fleet
has little of it), so that neither is left over alone.

Of a service that reserves nothing, nobody knows what it takes: it is spread over all hosts, then zones. Ties go to the
first in fleet.yaml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from math import hypot

from bayplan.plan.board import Berth
from bayplan.plan.constraints import attribute
from bayplan.plan.demand import Demand
from bayplan.plan.packing.amount import peak
from bayplan.spec.model import Host, Service
from bayplan.units import show_bytes

# Shares a host with others, empty, has, unlike, place in the file, name.
_Rank = tuple[bool, bool, int, float, int, str]
_ENOUGH_ZONES = 2
_LEAST_WEIGHT = 0.01  # of a resource that nobody has reserved yet


def hosts_apart(service: Service, tolerate: int) -> int:
    """On how many hosts a service that is packed is to stand at least: after a loss on two still."""
    return min(service.replicas, max(tolerate, 1) + 2)


def zone_of(host: Host) -> str:
    """What is lost with it: its zone, or, without one, itself."""
    return host.zone or f"host {host.name}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The host, and why it rather than the others."""

    host: str
    why: str


class Ranking:
    """The hosts that may take a replica of one service, the best first; kept up as they fill.

    counts: replicas of the service by host, which the caller changes and then tells of (`update`). hosts: the whole
    fleet. demand: of one replica, if it is not what the service reserves. Only what is told of is looked at again: a
    replica costs the logarithm of the hosts.
    """

    def __init__(
        self,
        service: Service,
        berths: Mapping[str, Berth],
        counts: Mapping[str, int],
        hosts: Mapping[str, Host],
        tolerate: int = 0,
        demand: Demand | None = None,
    ) -> None:
        self._service, self._berths, self._counts, self._hosts = service, berths, counts, hosts
        asked = service.resources
        self._asks = (demand or Demand(asked.reserved_cpus, asked.reserved_memory)).peaks
        self.packs = any(self._asks)
        self._apart = hosts_apart(service, tolerate) if self.packs else 0  # hosts to stand on, at least
        self._order = {name: i for i, name in enumerate(hosts)}
        self._weights = _weights(berths.values())
        self._known: dict[str, int] = {}
        self._shared: Counter[tuple[str, str | None]] = Counter()
        self._zones: Counter[str] = Counter()
        self._standing = 0
        self._groups: dict[str, tuple[str | None, ...]] = {}
        self._able: dict[str, _Rank] = {}
        self._heaps: dict[tuple[str | None, ...], list[_Rank]] = {}
        for name, has in counts.items():
            self._note(name, has)

    def update(self, host: str, *, able: bool) -> None:
        """Look at a host again: whether it can take one more, and how good a place that would be."""
        was_apart = self._is_to_part()
        self._note(host, self._counts.get(host, 0))
        self._able.pop(host, None)
        if able:
            self._enter(host)
        if was_apart != self._is_to_part():  # what it stands on counts for other hosts too, or no longer
            self._heaps.clear()
            for name in list(self._able):
                self._enter(name)

    def best(self) -> Choice | None:
        """Where the next one goes; None if no host can take it."""
        found = self._best()
        return None if found is None else Choice(found[-1], self._why(found))

    def against(self, host: str) -> str:
        """Why a host that could take it is not the best, in words."""
        best = self._best()
        if best is None or host not in self._able or host == best[-1]:
            return ""
        mine, its = self._full(self._able[host]), self._full(best)
        tier = next(i for i, (one, other) in enumerate(zip(mine, its, strict=True)) if one != other)
        return self._told(tier - len(self._service.placement.spread), self._able[host], best)

    # -- order --------------------------------------------------------------------------------------------------------

    def _best(self) -> _Rank | None:
        tops = [top for heap in self._heaps.values() if (top := self._top(heap))]
        return min(tops, key=self._full, default=None)

    def _top(self, heap: list[_Rank]) -> _Rank | None:
        while heap and self._able.get(heap[0][-1]) != heap[0]:
            heappop(heap)
        return heap[0] if heap else None

    def _enter(self, name: str) -> None:
        berth, has = self._berths[name], self._counts.get(name, 0)
        empty = self.packs and not berth.in_use
        unlike = self._unlike(berth) if self.packs else 0.0
        rank = (self._is_to_part() and has > 0, empty, has, unlike, self._order[name], name)
        self._able[name] = rank
        heappush(self._heaps.setdefault(self._group(name), []), rank)

    def _group(self, name: str) -> tuple[str | None, ...]:
        """Hosts that differ in nothing but what stands on themselves."""
        if name not in self._groups:
            host = self._hosts[name]
            self._groups[name] = (host.zone, *(attribute(host, key) for key in self._service.placement.spread))
        return self._groups[name]

    def _full(self, rank: _Rank) -> tuple[float, ...]:
        shares, empty, has, unlike, order, name = rank
        host = self._hosts[name]
        spread = (self._shared[key, attribute(host, key)] for key in self._service.placement.spread)
        in_zone = self._zones[zone_of(host)]
        same_zone = self._apart > 1 and len(self._zones) < _ENOUGH_ZONES and in_zone > 0
        return (*spread, shares, same_zone, empty, has, in_zone, unlike, order)

    def _is_to_part(self) -> bool:
        """Whether the next one is to stand away from all others."""
        return self._standing < self._apart

    def _note(self, name: str, has: int) -> None:
        """Count what stands on a host towards its zone and whatever else is to be spread over."""
        change = has - self._known.get(name, 0)
        if not change or name not in self._hosts:
            return
        host, zone = self._hosts[name], zone_of(self._hosts[name])
        self._standing += (has > 0) - (self._known.get(name, 0) > 0)
        self._known[name] = has
        for key in self._service.placement.spread:
            self._shared[key, attribute(host, key)] += change
        self._zones[zone] += change
        if not self._zones[zone]:
            del self._zones[zone]

    def _unlike(self, berth: Berth) -> float:
        """0 where cores and memory are free in just the proportion that is asked for, up to 1."""
        cpus, memory = self._weights
        free = (cpus * (berth.cpus - peak(berth.used_cpus)), memory * (berth.memory - peak(berth.used_memory)))
        asks = (cpus * self._asks[0], memory * self._asks[1])
        size = hypot(*free) * hypot(*asks)
        return round(1 - (free[0] * asks[0] + free[1] * asks[1]) / size, 9) if size else 1.0

    # -- words --------------------------------------------------------------------------------------------------------

    def _why(self, best: _Rank) -> str:
        if len(self._able) == 1:
            return "the only host that can take it"
        _, empty, has, _, _, name = best
        zone = f", zone {self._hosts[name].zone}" if self._hosts[name].zone else ""
        told = f"{'none' if has == 0 else f'only {has}'} of its replicas there{zone}"
        if not self.packs:
            return told
        return f"{told}; {'an empty host is opened' if empty else 'in use already'}, {self.room(name)} free"

    def room(self, name: str) -> str:
        """What is free on a host, in words."""
        berth = self._berths[name]
        cores = max(berth.cpus - peak(berth.used_cpus), 0)
        memory = max(berth.memory - peak(berth.used_memory), 0)
        return f"{cores:.3g} of {berth.cpus:.3g} cores and {show_bytes(memory)} of {show_bytes(berth.memory)}"

    def _told(self, tier: int, mine: _Rank, best: _Rank) -> str:
        """tier: the place in `_full`, after what is to be spread, in which the two differ first."""
        name, other = mine[-1], best[-1]
        zone, its = self._hosts[name].zone, self._hosts[other].zone
        told = (
            f"has {mine[2]} of it: were it lost, they would go together",
            f"zone {zone} has all of it, {f'zone {its}' if its else other} none",
            f"is empty, and {other}, which is in use, can take it",
            f"has {mine[2]} of it, {other} {best[2]}",
            f"zone {zone} has {self._zones[zone]} of it, {f'zone {its}' if its else other} fewer",
            f"what is free on {other} is more like what it asks for",
            f"as good as {other}, which comes first in the file",
        )
        return told[tier] if tier >= 0 else f"{other} spreads it better, as the file asks"


def _weights(berths: Iterable[Berth]) -> tuple[float, float]:
    """Of a core and of a byte: as much as the fleet has little of them left."""
    all_of = tuple(berths)
    cpus = _weight(sum(peak(b.used_cpus) for b in all_of), sum(b.cpus for b in all_of))
    return cpus, _weight(sum(peak(b.used_memory) for b in all_of), sum(b.memory for b in all_of))


def _weight(used: float, there: float) -> float:
    return (used / there + _LEAST_WEIGHT) / there if there else 0.0
