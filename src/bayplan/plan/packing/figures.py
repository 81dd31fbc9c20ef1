"""What a packing comes to: use of each resource, what fills its hosts, and what it would be with one service a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bayplan.plan.packing.arrays import arrays
from bayplan.plan.packing.problem import Problem, Stowed


@dataclass(frozen=True, slots=True)
class Figures:
    """by_type: hosts; use: of each resource at its fullest moment, a share of what the hosts have."""

    hosts: int
    by_type: Mapping[str, int]
    cost: float
    use: Mapping[str, float]


def figures(problem: Problem, hosts: Sequence[Stowed]) -> Figures:
    """Of hosts and what stands on them."""
    types = {t.name: t for t in problem.types}
    by_type = Counter(host.type for host in hosts)
    replicas: Counter[str] = Counter()
    for host in hosts:
        replicas.update(host.replicas)
    use = {}
    for resource in dict.fromkeys(r for t in problem.types for r in t.capacity):
        has = sum(types[name].capacity.get(resource, 0.0) * count for name, count in by_type.items())
        if has:
            use[resource] = _fullest(problem, replicas, resource) / has
    in_order = {t.name: by_type[t.name] for t in problem.types if by_type[t.name]}
    return Figures(len(hosts), in_order, sum(types[host.type].price for host in hosts), use)


def _fullest(problem: Problem, replicas: Mapping[str, int], resource: str) -> float:
    """What these replicas need of a resource together, in the slot of the day in which that is most."""
    total: np.ndarray = np.zeros(1)
    for load in problem.loads:
        if count := replicas.get(load.name, 0):
            total = total + np.asarray(load.demand.get(resource, 0.0)) * count
    return float(total.max())


def one_service_a_host(problem: Problem) -> tuple[Stowed, ...]:
    """Each service on hosts of its own, as many replicas on each as fit and may, on the type that is cheapest for it.

    What the limits and `tolerate` ask of the spread of a service is kept; no host stands by.
    """
    given = arrays(problem)
    hosts: list[Stowed] = []
    for load, fits in zip(problem.loads, given.fits_empty.tolist(), strict=True):
        able = [t for t, most in enumerate(fits) if most]
        if load.replicas and able:
            best = min(able, key=lambda t: (-(-load.replicas // fits[t]) * problem.types[t].price, t))
            hosts += _alone(problem.types[best].name, load.name, load.replicas, fits[best])
    return tuple(hosts)


def _alone(host_type: str, service: str, replicas: int, most: int) -> list[Stowed]:
    """As evenly as can be over the fewest hosts."""
    hosts = -(-replicas // most)
    each, more = divmod(replicas, hosts)
    return [Stowed(host_type, {service: each + (1 if i < more else 0)}) for i in range(hosts)]


def names(hosts: Sequence[Stowed], known: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """A name for each host: those that are known of its type, else counted within it (c32-1, c32-2)."""
    seen: Counter[str] = Counter()
    told = []
    for host in hosts:
        there = (known or {}).get(host.type, ())
        told.append(there[seen[host.type]] if seen[host.type] < len(there) else f"{host.type}-{seen[host.type] + 1}")
        seen[host.type] += 1
    return told
