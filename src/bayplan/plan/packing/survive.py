"""Losing hosts: what stood on any n of them, and can move, must fit on the rest.

What stays where it is does not move, rules and headroom hold, and no service is brought onto one host while another
could take one of it (rule 2 of the design). Pinned services are lost with their host, and told of.

Two ways to be sure. Trying each loss proves small fleets, whose free room is spread over many hosts. *Refuges* prove
large ones: n hosts, all but empty, each of which takes all that stands on any one other host. Then n lost hosts find n
refuges, or as many as were not lost themselves, and the fleet has just n hosts more than without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np

from bayplan.plan.packing.arrays import Arrays, Bools, Ints
from bayplan.plan.packing.improve import Kept
from bayplan.plan.packing.stowage import Stowage

MOST_LOSSES = 600  # combinations that are tried one by one
_MARKERS = 12  # services of which one replica may mark a refuge


@dataclass(frozen=True, slots=True)
class Loss:
    """Hosts, by index in what was kept, whose loss leaves a service (by index) with no place."""

    hosts: tuple[int, ...]
    service: int


def unlimited(given: Arrays, limit: Ints) -> Arrays:
    """The same with the limits that hold after a loss: as written, without what `tolerate` asks of the spread."""
    return replace(given, limit=limit)


def first_loss(given: Arrays, pinned: Bools, kept: Kept, lost: int) -> Loss | None:
    """The first loss of so many hosts after which something has no place, or None. Tries every combination."""
    stowage = Stowage.restored(given, kept)
    for hosts in combinations(range(len(kept)), min(lost, len(kept))):
        service = _homeless(stowage, hosts, pinned)
        if service is not None:
            return Loss(hosts, service)
    return None


def can_try(hosts: int, lost: int) -> bool:
    """Whether trying every combination is quick."""
    return comb(hosts, min(lost, hosts)) <= MOST_LOSSES


def _homeless(stowage: Stowage, hosts: tuple[int, ...], pinned: Bools) -> int | None:
    """A service that would have no place if these hosts were lost. The stowage is as it was afterwards."""
    lost = [(host, int(stowage.type[host]), stowage.close(host)) for host in hosts]
    size = stowage.given.key_demand.max(axis=1, initial=0.0)
    moving = sorted((-size[s], s, n) for _, _, stood in lost for s, n in stood if not pinned[s])
    replicas = [service for _, service, count in moving for _ in range(count)]
    homeless = _rehoused(stowage, replicas, 1.0)
    if homeless is not None:
        homeless = _rehoused(stowage, replicas, -1.0)
    for host, host_type, stood in reversed(lost):
        assert stowage.open(host_type) == host  # noqa: S101  the last that was closed is the first to be opened again
        for service, count in stood:
            stowage.add(host, service, count)
    return homeless


def _rehoused(stowage: Stowage, replicas: list[int], sign: float) -> int | None:
    """The first of these for which no host has room, each put where `_refuge_for` says; all are taken off again."""
    placed: list[tuple[int, int]] = []
    homeless = None
    for service in replicas:
        host = _refuge_for(stowage, service, sign)
        if host is None:
            homeless = service
            break
        stowage.add(host, service)
        placed.append((host, service))
    for host, service in placed:
        stowage.remove(host, service)
    return homeless


def _refuge_for(stowage: Stowage, service: int, sign: float) -> int | None:
    """Of the hosts that have none of the service, else of all: the emptiest (sign 1), or the tightest (-1)."""
    hosts = stowage.candidates(service)
    if not len(hosts):
        return None
    has = np.isin(hosts, list(stowage.where[service]))
    others = hosts[~has] if not has.all() else hosts
    return int(others[np.argmax(sign * stowage.key_free[others].sum(axis=1))])


def with_refuges(given: Arrays, pinned: Bools, kept: Kept, lost: int) -> Kept | None:
    """The hosts, and refuges for them, or None if there are not enough hosts. given: with limits as they are written.

    Each host needs a type of refuge that takes all that can move from it; roomier ones are asked first, as one type
    mostly serves all.
    """
    stowage = Stowage.restored(given, kept)
    kinds: list[int] = []
    for host_type, on in kept:
        movable = [(s, n) for s, n in on.items() if not pinned[s]]
        if any(_takes_all(given, kind, movable) for kind in kinds):
            continue
        kind = next((t for t in _roomiest(given, host_type) if _takes_all(given, t, movable)), None)
        if kind is None or stowage.opened[kind] + lost > given.count[kind]:
            return None
        kinds.append(kind)
        for _ in range(lost):
            stowage.open(kind)
    return _marked(given, pinned, kept, kinds) if lost == 1 else [*kept, *((k, {}) for k in kinds for _ in range(lost))]


def _roomiest(given: Arrays, host_type: int) -> Iterator[int]:
    """Types to try as a refuge of what stands on a host: that which dwarfs all others, then the host's own."""
    room = (given.capacity / given.scale).sum(axis=1)
    as_roomy = [t for t in np.argsort(given.price, kind="stable").tolist() if room[t] >= room[host_type]]
    largest = int(room.argmax())
    if (given.capacity[largest] >= given.capacity).all():
        yield largest
    yield host_type
    yield from as_roomy


def _takes_all(given: Arrays, host_type: int, stood: list[tuple[int, int]]) -> bool:
    """Whether an empty host of a type takes all of it."""
    if not stood:
        return True
    services = np.array([s for s, _ in stood])
    counts = np.array([n for _, n in stood])
    allowed = bool(given.allowed[services, host_type].all())
    return allowed and bool((counts @ given.demand[services] <= given.capacity[host_type] * (1 + 1e-9)).all())


def _marked(given: Arrays, pinned: Bools, kept: Kept, kinds: list[int]) -> Kept:
    """One small replica on each refuge, where no loss then does harm: an empty host is easily taken for none."""
    plain: Kept = [*kept, *((kind, {}) for kind in kinds)]
    movable = ~pinned & (given.replicas > 0)
    small = np.flatnonzero(movable)[np.argsort(given.key_demand.max(axis=1, initial=0.0)[movable], kind="stable")]
    for service in small[:_MARKERS].tolist():
        marked = _with_marker(plain, len(kept), service)
        if marked is not None and _still_safe(given, pinned, marked, kinds):
            return marked
    return plain


def _with_marker(plain: Kept, used: int, service: int) -> Kept | None:
    """One replica of the service on each host after the first `used`, from hosts that keep others."""
    marked: Kept = [(host_type, dict(on)) for host_type, on in plain]
    for refuge in range(used, len(marked)):
        donors = [h for h in range(used) if service in marked[h][1] and len(marked[h][1]) > 1]
        if not donors or not marked[refuge][0] >= 0:
            return None
        on = marked[donors[-1]][1]
        on[service] -= 1
        if not on[service]:
            del on[service]
        marked[refuge][1][service] = 1
    return marked


def _still_safe(given: Arrays, pinned: Bools, kept: Kept, kinds: list[int]) -> bool:
    """Whether every single loss does no harm with the refuges marked; quickly where a refuge takes a host whole."""
    stowage = Stowage(given)
    refuges = range(len(kept) - len(kinds), len(kept))
    for host_type, on in kept:
        host = stowage.open(host_type)
        for service, count in on.items():
            if stowage.room(host, service) < count:
                return False
            stowage.add(host, service, count)
    for host in range(len(kept)):
        if host not in refuges and any(_fits_on(stowage, host, refuge, pinned) for refuge in refuges):
            continue
        if _homeless(stowage, (host,), pinned) is not None:
            return False
    return True


def _fits_on(stowage: Stowage, host: int, refuge: int, pinned: Bools) -> bool:
    """Whether all that can move from a host fits on another, which has next to nothing."""
    moving = {s: n for s, n in stowage.on[host].items() if not pinned[s]}
    if not moving:
        return True
    if any(s in moving for s in stowage.on[refuge]) or any(stowage.ruled(refuge, s) < n for s, n in moving.items()):
        return False
    services = np.array(list(moving))
    needs = np.array(list(moving.values())) @ stowage.given.demand[services]
    return bool((needs <= stowage.free[refuge]).all())
