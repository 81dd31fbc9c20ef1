"""The search: quick answers of several kinds, the best improved until it is proven or the budget is over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, UNLIMITED, Arrays
from bayplan.plan.packing.bounds import Lowest, rounded_up
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.construct import close_empty
from bayplan.plan.packing.first import first_answers
from bayplan.plan.packing.improve import Kept, Search
from bayplan.plan.packing.problem import Bound
from bayplan.plan.packing.stowage import Stowage

_SEED = 1
_MOST_DIMENSIONS = 40  # up to which an integer program may prove what columns say
_MOST_COLUMNS = 1500  # services up to which columns are tried
_SQUEEZE = 20_000  # units at most, when hosts run out


@dataclass
class Best:
    """The best answer so far: first of all nothing left over, then the lowest cost."""

    given: Arrays
    bound: Bound
    kept: Kept = field(default_factory=list)
    left: int = 1 << 60
    cost: float = float("inf")
    method: str = ""

    def offer(self, kept: Kept, cost: float, left: int, method: str) -> None:
        """Take it if it is better."""
        if (left, cost) < (self.left, self.cost - ROUNDING) or (left < self.left):
            self.kept, self.cost, self.left, self.method = kept, cost, left, method

    @property
    def lowest(self) -> float:
        """Nothing costs less."""
        return self.bound.value

    def raise_bound(self, value: float) -> None:
        """A bound that was found on the way, before rounding up to what hosts can cost together."""
        if (value := rounded_up(value, self.given.price)) > self.bound.value + ROUNDING:
            self.bound = Bound(value, "how replicas of these sizes can fill hosts at all")

    @property
    def is_proven(self) -> bool:
        return self.left == 0 and self.cost <= self.lowest + ROUNDING


def search(given: Arrays, names: list[str], bound: Lowest, budget: Budget) -> Best:
    """The cheapest packing of it all that was found, or else the one that leaves least."""
    best = Best(given, bound.cheapest)
    seen: list[Kept] = []
    for method, stowage in first_answers(given, names, bound, lambda: not budget.spend(0)):
        seen.append(stowage.copy_of())
        best.offer(seen[-1], stowage.cost, int(stowage.left.sum()), method)
        if best.is_proven or not budget.spend(_units(given)):
            break
    if best.left:
        _squeeze(best, budget)
    if best.left == 0:
        _improve(best, budget, seen)
    return best


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


def _squeeze(best: Best, budget: Budget) -> None:
    """Hosts ran out: open all that there are, and move what stands until the rest has room."""
    given = best.given
    stowage = Stowage.restored(given, best.kept)
    for host_type, count in enumerate(given.count.tolist()):
        while count < UNLIMITED and stowage.can_open(host_type):
            stowage.open(host_type)
    part = budget.part(_SQUEEZE)
    work = Search(stowage, part, _SEED)
    work.absorb(tries=20)
    budget.settle(part)
    close_empty(work.stowage)
    best.offer(work.stowage.copy_of(), work.stowage.cost, int(work.stowage.left.sum()), "squeezed in")


def _descend(best: Best, budget: Budget, units: int, seed: int) -> None:
    part = budget.part(units)
    search = Search(Stowage.restored(best.given, best.kept), part, seed)
    search.descend(best.lowest, lambda kept, cost: best.offer(kept, cost, 0, _improved(best)))
    budget.settle(part)


def _improved(best: Best) -> str:
    return f"{best.method.removesuffix(', improved')}, improved"


def _by_columns(best: Best, budget: Budget, seen: list[Kept], seed: int) -> None:
    from bayplan.plan.packing.columns import Columns, columns_of, dive
    from bayplan.plan.packing.proof import proven

    master = Columns(best.given, seed)
    for kept in seen:
        master.add(columns_of(kept))
    master.generate(budget)
    if not budget.over and not best.is_proven:
        dive(master, budget, lambda stowage: _complete(best, stowage, budget, seed))
    if not budget.over and not best.is_proven and _may_be_proven(best, master.relax()[0]):
        best.raise_bound(proven(master, budget))


def _may_be_proven(best: Best, relaxed: float) -> bool:
    """Whether the columns' bound could reach the best answer: it is never above what the columns found so far give."""
    few = best.given.demand.shape[1] <= _MOST_DIMENSIONS
    return few and rounded_up(relaxed, best.given.price) >= best.cost - ROUNDING


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
