"""The way in: a problem to a packing of it, with the bound that it can be held against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayplan.plan.packing.arrays import UNLIMITED, Arrays, arrays
from bayplan.plan.packing.bounds import Lowest, lowest
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.construct import Stop, never
from bayplan.plan.packing.improve import Kept
from bayplan.plan.packing.problem import Bound, Packing, Problem, Stowed
from bayplan.plan.packing.search import Best, search
from bayplan.plan.packing.secure import secured

EFFORT = 200_000  # units: minutes on a large problem, and the default; a proof or the caller's clock ends it sooner


def pack(problem: Problem, effort: int = EFFORT, expired: Stop = never) -> Packing:
    """The cheapest packing found. The same for the same problem and effort, unless `expired` cuts it short.

    expired: asked about once a millisecond; the first answer is given whatever it says.
    """
    given = arrays(problem)
    names = [load.name for load in problem.loads]
    bound = lowest(given, names)
    budget = Budget(effort, expired)
    if not problem.tolerate:
        best = search(given, names, bound, budget)
        return _packing(problem, best, _raised(given, bound, best.bound), budget)
    return _tolerant(problem, given, names, bound, budget)


def _raised(given: Arrays, bound: Lowest, cheapest: Bound) -> Lowest:
    """With a bound of the cost that the search found; at one price it is one of the number, too."""
    if cheapest.value <= bound.cheapest.value or np.ptp(given.price):
        return replace(bound, cheapest=cheapest)
    fewest = Bound(round(cheapest.value / float(given.price[0])), cheapest.why)
    return replace(bound, fewest=fewest, cheapest=cheapest)


def _tolerant(problem: Problem, given: Arrays, names: list[str], bound: Lowest, budget: Budget) -> Packing:
    """Packed with the spread that it takes, on fewer hosts than there are, and then made to survive."""
    lost = problem.tolerate
    standing, bound = bound, _with_lost(given, names, bound, lost)
    part = budget.part(budget.effort * 3 // 4)
    best = search(replace(given, count=_reserved(given, lost)), names, standing, part)
    if best.left:
        best = search(given, names, standing, part)
    budget.settle(part)
    best.given = given
    unsafe = ""
    if best.left == 0:
        kept, loss = secured(best, lost, bound.cheapest.value, budget)
        best.kept, best.cost = kept, _cost(given, kept)
        if loss is not None:
            hosts = " and ".join(f"one of type {problem.types[kept[h][0]].name}" for h in loss.hosts)
            unsafe = f"with {hosts} lost, no place is left for {names[loss.service]}"
    return replace(_packing(problem, best, bound, budget), unsafe=unsafe)


def _reserved(given: Arrays, lost: int) -> np.ndarray:
    """(T,) counts without the hosts that are to stand by: of the type that is roomiest in every dimension."""
    count = given.count.copy()
    largest = int((given.capacity / given.scale).sum(axis=1).argmax())
    if count[largest] < UNLIMITED and (given.capacity[largest] >= given.capacity).all():
        count[largest] = max(count[largest] - lost, 0)
    return count


def _with_lost(given: Arrays, names: list[str], bound: Lowest, lost: int) -> Lowest:
    """Bounds for fleets that survive: what is left after the loss of the dearest hosts must hold all that can move."""
    movable = np.where(given.pinned, 0, given.replicas)
    if not movable.any():
        return bound
    after = replace(given, limit=given.written_limit, replicas=movable)
    rest = lowest(after, names)
    why = f"{lost} more, as so many may be lost; and {{}}"
    fewest, cheapest = rest.fewest.value + lost, _dearest_lost(after, names, rest, lost)
    if fewest >= bound.fewest.value:
        bound = replace(bound, fewest=Bound(fewest, why.format(rest.fewest.why)))
    if cheapest >= bound.cheapest.value:
        bound = replace(bound, cheapest=Bound(cheapest, why.format(rest.cheapest.why)))
    return bound


def _dearest_lost(after: Arrays, names: list[str], rest: Lowest, lost: int) -> float:
    """The lowest cost, over what the dearest host may be: all others are at most as dear, and it is among the lost."""
    least = float(after.price.min())
    costs = []
    for price in sorted(set(after.price.tolist())):
        cheaper = replace(after, allowed=after.allowed & (after.price <= price))
        if ((cheaper.fits_empty.max(axis=1) == 0) & (after.replicas > 0)).any():
            continue
        cost = rest.cheapest.value if price == after.price.max() else lowest(cheaper, names).cheapest.value
        costs.append(max(cost, rest.cheapest.value) + price + (lost - 1) * least)
    return min(costs, default=rest.cheapest.value + lost * least)


def _cost(given: Arrays, kept: Kept) -> float:
    return float(sum(given.price[host_type] for host_type, _ in kept))


def _packing(problem: Problem, best: Best, bound: Lowest, budget: Budget) -> Packing:
    names = [load.name for load in problem.loads]
    placed = np.zeros(len(names), dtype=np.int64)
    hosts = []
    for host_type, on in sorted(best.kept, key=lambda h: h[0]):
        for s, count in on.items():
            placed[s] += count
        hosts.append(Stowed(problem.types[host_type].name, {names[s]: on[s] for s in sorted(on)}))
    left = {names[s]: int(n) for s, n in enumerate(best.given.replicas - placed) if n}
    return Packing(tuple(hosts), left, best.cost, bound.fewest, bound.cheapest, budget.spent, best.method)
