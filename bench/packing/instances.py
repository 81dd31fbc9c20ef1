"""Made instances, so that nothing is tuned to one file: a larger day, and vector packing of the usual classes.

`larger_day` draws services of a given problem again, with other sizes, counts and rules. `vectors` are of the kinds of
Caprara and Toth (Discrete Appl. Math. 111, 2001) in more dimensions; `brimful` cuts full hosts up: the optimum is known
and leaves no gap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayplan.plan.packing.amount import Amount
from bayplan.plan.packing.problem import Apart, HostType, Load, Problem

_KINDS = {
    "small": ((100, 401), 1000),
    "any": ((1, 1001), 1000),
    "large": ((200, 801), 1000),
    "smaller": ((50, 201), 1000),
    "tiny": ((25, 101), 1000),
    "two or three": ((20, 101), 150),
}


def larger_day(problem: Problem, times: int, seed: int) -> Problem:
    """`times` as many services, each drawn from the problem's and changed; conflicts decide nothing."""
    rng = np.random.default_rng(seed)
    number = len(problem.loads) * times
    loads = [_redrawn(problem.loads[int(rng.integers(len(problem.loads)))], i, rng) for i in range(number)]
    pairs = {(int(a), int(b)) for a, b in rng.integers(number, size=(number // 2, 2)) if a != b}
    apart = [Apart(loads[a].name, loads[b].name, int(rng.integers(0, 4))) for a, b in sorted(pairs)]
    return Problem(problem.types, loads, apart)


def _redrawn(load: Load, index: int, rng: np.random.Generator) -> Load:
    factor = {r: float(np.exp(rng.normal(0.0, 0.15))) for r in load.demand}
    demand = {r: _scaled(d, factor[r]) if isinstance(d, tuple) else d for r, d in load.demand.items()}
    return Load(f"s{index}", min(load.replicas, 160), demand, int(rng.integers(1, 5)) if load.replicas > 1 else None)


def _scaled(profile: Sequence[float], factor: float) -> Amount:
    return tuple(round(min(v * factor, max(v, 60.0)), 4) for v in profile)


def vectors(kind: str, items: int, resources: int, seed: int) -> Problem:
    """Items of one of the kinds, each resource drawn by itself."""
    rng = np.random.default_rng(seed)
    (low, high), capacity = _KINDS[kind]
    return _problem(rng.integers(low, high, (items, resources)), capacity)


def brimful(hosts: int, a_host: int, resources: int, seed: int) -> Problem:
    """Full hosts cut into about `a_host` items each: `hosts` is the optimum."""
    rng = np.random.default_rng(seed)
    capacity, items = 1000, []
    for _ in range(hosts):
        number = int(rng.integers(max(2, a_host - 1), a_host + 2))
        cuts = [np.sort(rng.choice(np.arange(1, capacity), number - 1, replace=False)) for _ in range(resources)]
        items.append(np.stack([np.diff(np.concatenate([[0], c, [capacity]])) for c in cuts], axis=1))
    every = np.concatenate(items)
    rng.shuffle(every)
    return _problem(every, capacity)


def _problem(items: np.ndarray, capacity: int) -> Problem:
    names = [f"r{d}" for d in range(items.shape[1])]
    loads = [Load(f"i{i}", 1, dict(zip(names, map(float, item), strict=True))) for i, item in enumerate(items)]
    return Problem([HostType("host", dict.fromkeys(names, float(capacity)))], loads)


def many(replicas: int, hosts: int, seed: int) -> Problem:
    """Replicas of services of ten each, cpu and memory, that fill about `hosts` hosts to nine tenths: for the curve."""
    rng = np.random.default_rng(seed)
    services = max(replicas // 10, 1)
    size = rng.gamma(2.0, 1.0, (services, 2))
    size *= 0.9 * hosts * np.array([32.0, 128.0]) / (10 * size.sum(axis=0))
    size = np.minimum(size, [16.0, 64.0])
    loads = [Load(f"s{i}", 10, {"cpu": float(c), "memory": float(m)}, 3) for i, (c, m) in enumerate(size)]
    return Problem([HostType("host", {"cpu": 32.0, "memory": 128.0})], loads)
