"""A problem as arrays. S services, T host types, D dimensions: one a resource, or one a resource and slot of the day.

Values keep the caller's units; `tolerance` is what rounding may cost (0.1 + 0.2 fits into 0.3). Dimensions that nobody
needs, or that another one always implies, are dropped. `keys` are the few dimensions that searches look at first: a
replica that does not fit there does not fit; one that does is checked in all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bayplan.plan.packing.problem import Load, Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ROUNDING = 1e-9  # of a host's capacity
UNLIMITED = 1 << 30
_SLOTS = 10  # of each resource's profile that are keys


@dataclass(frozen=True)
class Arrays:
    """demand: (S, D); capacity: (T, D), less headroom; keys: indices of dimensions; resource: name of each dimension.

    replicas, limit: (S,); allowed: (S, T); count: (T,); price: (T,).
    bounded_by[s]: (o, k) where o's presence allows at most k of s; bounds[s]: (o, k) where s allows at most k of o.
    """

    demand: Floats
    capacity: Floats
    resource: tuple[str, ...]
    keys: Ints
    replicas: Ints
    limit: Ints
    allowed: Bools
    count: Ints
    price: Floats
    bounded_by: tuple[tuple[tuple[int, int], ...], ...]
    bounds: tuple[tuple[tuple[int, int], ...], ...]
    written_limit: Ints  # (S,) the limits as they are written: those that hold after hosts are lost
    pinned: Bools  # (S,)

    @property
    def services(self) -> int:
        """S."""
        return len(self.replicas)

    @cached_property
    def scale(self) -> Floats:
        """(D,) the largest capacity: what demands are compared by."""
        largest = self.capacity.max(axis=0)
        return np.where(largest > 0, largest, 1.0)

    @cached_property
    def key_demand(self) -> Floats:
        """(S, K) shares of the largest host, in the key dimensions."""
        return np.ascontiguousarray(self.demand[:, self.keys] / self.scale[self.keys])

    @cached_property
    def fits_empty(self) -> Ints:
        """(S, T) replicas of one service that an empty host takes: capacity and limit, 0 where not allowed."""
        fits = np.empty((self.services, len(self.price)), dtype=np.int64)
        for t, capacity in enumerate(self.capacity):
            fits[:, t] = most(self.demand, capacity + ROUNDING * self.scale)
        fits = np.minimum(fits, self.limit[:, None])
        allowed: Ints = np.where(self.allowed, fits, 0).astype(np.int64)
        return allowed


def most(demand: Floats, room: Floats) -> Ints:
    """How many of each demand (…, D) fit into the room (…, D), taken alone."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(demand > 0, room / demand, np.inf)
    least = ratio.min(axis=-1, initial=float(UNLIMITED))
    fits: Ints = np.maximum(least, 0).astype(np.int64)
    return fits


def arrays(problem: Problem) -> Arrays:
    """The problem as arrays. A demand that no host type names is the caller's to refuse."""
    demand, capacity, resource = _dimensions(problem)
    index = {load.name: s for s, load in enumerate(problem.loads)}
    bounded_by, bounds = _rules(problem, index)
    return Arrays(
        demand=demand,
        capacity=capacity,
        resource=resource,
        keys=_keys(demand, resource),
        replicas=np.array([load.replicas for load in problem.loads], dtype=np.int64),
        limit=np.array([_limit(load, problem.tolerate) for load in problem.loads], dtype=np.int64),
        allowed=np.array(
            [[load.types is None or t.name in load.types for t in problem.types] for load in problem.loads], dtype=bool
        ).reshape(len(problem.loads), len(problem.types)),
        count=np.array([UNLIMITED if t.count is None else t.count for t in problem.types], dtype=np.int64),
        price=np.array([t.price for t in problem.types], dtype=np.float64),
        bounded_by=bounded_by,
        bounds=bounds,
        written_limit=np.array([_limit(load, 0) for load in problem.loads], dtype=np.int64),
        pinned=np.array([load.pinned for load in problem.loads], dtype=bool),
    )


def _limit(load: Load, tolerate: int) -> int:
    """Replicas a host. Where hosts may be lost, the loss of them all at once must leave one standing, if it can."""
    limit = UNLIMITED if load.limit is None else load.limit
    if tolerate and not load.pinned and load.replicas > tolerate:
        return min(limit, (load.replicas - 1) // tolerate)
    return limit


def _rules(
    problem: Problem, index: dict[str, int]
) -> tuple[tuple[tuple[tuple[int, int], ...], ...], tuple[tuple[tuple[int, int], ...], ...]]:
    bounded_by: dict[int, list[tuple[int, int]]] = defaultdict(list)
    bounds: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for rule in problem.apart:
        one, other = index[rule.service], index[rule.other]
        bounds[one].append((other, rule.limit))
        bounded_by[other].append((one, rule.limit))
    services = range(len(problem.loads))
    return tuple(tuple(bounded_by[s]) for s in services), tuple(tuple(bounds[s]) for s in services)


def _dimensions(problem: Problem) -> tuple[Floats, Floats, tuple[str, ...]]:
    names = list(dict.fromkeys(name for host in problem.types for name in host.capacity))
    columns, capacities, resource = [], [], []
    for name in names:
        slots = _slots(problem, name)
        capacity = [t.capacity.get(name, 0.0) * (1 - problem.headroom) for t in problem.types]
        for slot in _undominated(slots):
            columns.append(slots[:, slot])
            capacities.append(capacity)
            resource.append(name)
    services, types = len(problem.loads), len(problem.types)
    demand = np.array(columns, dtype=np.float64).T if columns else np.zeros((services, 0))
    return (
        np.ascontiguousarray(demand.reshape(services, len(columns))),
        np.ascontiguousarray(np.array(capacities, dtype=np.float64).reshape(len(columns), types).T),
        tuple(resource),
    )


def _slots(problem: Problem, name: str) -> Floats:
    """(S, slots of the day) of one resource; one slot where no service has a profile."""
    demands = [load.demand.get(name, 0.0) for load in problem.loads]
    slots = max((len(d) for d in demands if isinstance(d, tuple)), default=1)
    return np.array([d if isinstance(d, tuple) else (d,) * slots for d in demands], dtype=np.float64).reshape(
        len(demands), slots
    )


def _undominated(slots: Floats) -> list[int]:
    """The slots that are not below another one for every service: those alone can be exceeded first."""
    order = np.argsort(-slots.sum(axis=0), kind="stable")
    kept: list[int] = []
    for slot in order:
        column = slots[:, slot]
        if column.any() and not any((column <= slots[:, k]).all() for k in kept):
            kept.append(int(slot))
    return sorted(kept)


def _keys(demand: Floats, resource: Sequence[str]) -> Ints:
    """Of each resource the slot that is fullest over all, and others evenly over the day."""
    total = demand.sum(axis=0)
    chosen: list[int] = []
    for name in dict.fromkeys(resource):
        dims = [d for d, of in enumerate(resource) if of == name]
        spread = {dims[round(i)] for i in np.linspace(0, len(dims) - 1, min(len(dims), _SLOTS))}
        chosen += sorted(spread | {max(dims, key=lambda d: total[d])})
    return np.array(chosen, dtype=np.int64)
