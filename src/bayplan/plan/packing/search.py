"""The search: quick answers of several kinds, the best of them improved until it is proven best or the budget is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats, Ints, arrays
from bayplan.plan.packing.bounds import Lowest, lowest
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.cliques import hosts_needed
from bayplan.plan.packing.construct import Guide, by_dot_product, close_empty, every, first_fit, in_use
from bayplan.plan.packing.improve import Kept, Search
from bayplan.plan.packing.problem import Packing, Problem, Stowed
from bayplan.plan.packing.stowage import Stowage

EFFORT = 200_000  # units: minutes on a large problem, and the default; a proof or the caller's clock ends it sooner
_SEED = 1
_MOST_COLUMNS = 1500  # services up to which columns are tried
_SPARE = (0.015, 0.03, 0.045)


def never() -> bool:
    """The clock of one who waits."""
    return False


@dataclass
class Best:
    """The best answer so far: first of all nothing left over, then the lowest cost."""

    given: Arrays
    lowest: float
    kept: Kept = field(default_factory=list)
    left: int = 1 << 60
    cost: float = float("inf")
    method: str = ""

    def offer(self, kept: Kept, cost: float, left: int, method: str) -> None:
        """Take it if it is better."""
        if (left, cost) < (self.left, self.cost - ROUNDING) or (left < self.left):
            self.kept, self.cost, self.left, self.method = kept, cost, left, method

    @property
    def is_proven(self) -> bool:
        return self.left == 0 and self.cost <= self.lowest + ROUNDING


def pack(problem: Problem, effort: int = EFFORT, expired: Callable[[], bool] = never) -> Packing:
    """The cheapest packing found. The same for the same problem and effort, unless `expired` cuts it short.

    expired: asked about once a millisecond; the first answer is given whatever it says.
    """
    given = arrays(problem)
    names = [load.name for load in problem.loads]
    bound = lowest(given, names)
    budget = Budget(effort, expired)
    best = Best(given, bound.cheapest.value)
    seen: list[Kept] = []
    for method, stowage in _first_answers(given, names, bound):
        seen.append(stowage.copy_of())
        best.offer(seen[-1], stowage.cost, int(stowage.left.sum()), method)
        if best.is_proven or not budget.spend(_units(given)):
            break
    if best.left == 0:
        _improve(best, budget, seen)
    return _packing(problem, best, bound, budget)


def _units(given: Arrays) -> int:
    return 1 + given.services // 4


def _improve(best: Best, budget: Budget, seen: list[Kept]) -> None:
    """Local search and, where there are not too many services, columns by turns."""
    few = best.given.services <= _MOST_COLUMNS
    rounds = 0
    while not best.is_proven and not budget.over:
        rounds += 1
        _descend(best, budget, 1500 if few else 1 << 60, _SEED + rounds)
        if few and not best.is_proven and not budget.over:
            seen.append(best.kept)
            _by_columns(best, budget, seen, rounds)


def _descend(best: Best, budget: Budget, units: int, seed: int) -> None:
    part = budget.part(units)
    search = Search(Stowage.restored(best.given, best.kept), part, seed)
    search.descend(best.lowest, lambda kept, cost: best.offer(kept, cost, 0, _improved(best)))
    budget.settle(part)


def _improved(best: Best) -> str:
    return f"{best.method.removesuffix(', improved')}, improved"


def _by_columns(best: Best, budget: Budget, seen: list[Kept], seed: int) -> None:
    from bayplan.plan.packing.columns import Columns, columns_of, dive, stow

    master = Columns(best.given, seed)
    for kept in seen:
        master.add(columns_of(kept))
    master.generate(budget)
    if not budget.over and (chosen := master.whole(budget, best.cost)) is not None:
        stowage = stow(best.given, chosen)
        best.offer(stowage.copy_of(), stowage.cost, int(stowage.left.sum()), "columns")
    if not budget.over and not best.is_proven:
        dive(master, budget, lambda stowage: _complete(best, stowage, budget, seed))


def _complete(best: Best, stowage: Stowage, budget: Budget, seed: int) -> None:
    """Hosts for what a dive left over, if that can be done for less than the best answer."""
    given = best.given
    for host_type in np.argsort(given.price, kind="stable")[::-1].tolist():
        while stowage.can_open(host_type) and stowage.cost + given.price[host_type] < best.cost - ROUNDING:
            stowage.open(host_type)
    part = budget.part(1500)
    if stowage.cost < best.cost - ROUNDING and Search(stowage, part, seed).absorb(tries=3):
        close_empty(stowage)
        best.offer(stowage.copy_of(), stowage.cost, 0, "columns, rounded")
    budget.settle(part)


def _first_answers(given: Arrays, names: list[str], bound: Lowest) -> Iterator[tuple[str, Stowage]]:
    """Constructions, the quickest to prove something first."""
    size = given.key_demand.sum(axis=1)
    largest = given.key_demand.max(axis=1, initial=0.0)
    types, cheapest = _types(given), np.argsort(given.price, kind="stable")
    by_hosts = np.lexsort((-largest, -hosts_needed(given)))
    by_size, by_largest = np.argsort(-size, kind="stable"), np.argsort(-largest, kind="stable")
    yield "most hosts needed first", by_dot_product(given, by_hosts, types, narrow=in_use)
    for order in (by_size, by_largest, np.arange(given.services)):
        for preferred in (types, cheapest) if (types != cheapest).any() and np.ptp(given.price) else (types,):
            yield "first fit", first_fit(given, order, preferred)
    guide = Guide(bound.fleet, _rounded(bound.share))
    ways = ((by_hosts, in_use), (by_size, every))
    costs = []
    for order, narrow in ways:
        stowage = by_dot_product(given, order, cheapest, guide, narrow)
        costs.append((int(stowage.left.sum()), stowage.cost))
        yield "guided by the bound", stowage
    order, narrow = ways[costs.index(min(costs))]
    for spare in _SPARE:
        stowage = by_dot_product(given, order, cheapest, _guide(given, names, spare), narrow)
        costs.append((int(stowage.left.sum()), stowage.cost))
        yield f"guided by the bound with {spare:.1%} to spare", stowage
        if costs[-1] > costs[-2]:
            return


def _guide(given: Arrays, names: list[str], spare: float) -> Guide:
    """What the bound would be made of if hosts were somewhat smaller: as no packing is without gaps."""
    smaller = lowest(replace(given, capacity=given.capacity * (1 - spare)), names)
    return Guide(smaller.fleet, _rounded(smaller.share))


def _rounded(share: Floats | None) -> Ints | None:
    return None if share is None else np.round(share).astype(np.int64)


def _types(given: Arrays) -> Ints:
    """Host types, those first that are cheapest for what they hold of what is scarce."""
    need = given.replicas @ given.key_demand
    weight = need / max(float(need.sum()), ROUNDING)
    holds = (given.capacity[:, given.keys] / given.scale[given.keys]) @ weight
    return np.argsort(given.price / np.maximum(holds, ROUNDING), kind="stable")


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
