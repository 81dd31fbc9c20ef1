"""Column generation: hosts as columns of a linear program, whose prices find new hosts.

The set-covering relaxation of Gilmore and Gomory (Oper. Res. 9, 1961) is far tighter than resources summed up, and good
packings are made of few of its columns, which diving picks one by one. It pays where services are few hundreds. HiGHS
solves the programs; rounds are counted, not timed, so that the same effort gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import highspy
import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats, Ints
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.improve import Kept
from bayplan.plan.packing.lp import quiet
from bayplan.plan.packing.pricing import price_columns
from bayplan.plan.packing.stowage import Stowage

Column = tuple[int, tuple[tuple[int, int], ...]]  # host type; (service, replicas) on it, in order of services

_ROUNDS = 60  # of pricing, before its columns are put together
_BATCH = 48
_DRY = 4  # rounds without a new column
_GAIN = 1e-7


class Columns:
    """The columns found so far and the master program over them. Rows: one a service, then one a host type."""

    def __init__(self, given: Arrays, seed: int) -> None:
        self.given = given
        self.rng = np.random.default_rng(seed)
        self.found: dict[Column, int] = {}
        self.solver = quiet()
        infinite = highspy.kHighsInf
        for replicas in given.replicas.tolist():
            self.solver.addRow(float(replicas), infinite, 0, np.zeros(0, dtype=np.int32), np.zeros(0))
        for count in given.count.tolist():
            self.solver.addRow(-infinite, float(count), 0, np.zeros(0, dtype=np.int32), np.zeros(0))

    def add(self, columns: Iterable[Column]) -> int:
        """Those that are new; how many that were."""
        new = 0
        for column in columns:
            if column in self.found:
                continue
            self.found[column] = len(self.found)
            host_type, on = column
            index = np.array([*(s for s, _ in on), self.given.services + host_type], dtype=np.int32)
            value = np.array([*(n for _, n in on), 1], dtype=np.float64)
            self.solver.addCol(float(self.given.price[host_type]), 0.0, highspy.kHighsInf, len(index), index, value)
            new += 1
        return new

    def relax(self) -> tuple[float, Floats]:
        """The value of the master program, and what one replica of each service is worth in it."""
        self.solver.run()
        dual = np.array(self.solver.getSolution().row_dual)
        return float(self.solver.getInfo().objective_function_value), np.maximum(dual[: self.given.services], 0.0)

    def generate(self, budget: Budget) -> None:
        """Rounds of pricing until it runs dry or the budget is over."""
        dry = 0
        for _ in range(_ROUNDS):
            if dry >= _DRY or not budget.spend(20):
                return
            _, worth = self.relax()
            dry = 0 if self.add(self.priced(worth)) else dry + 1

    def priced(self, worth: Floats) -> list[Column]:
        """Columns that are worth more than they cost."""
        columns: list[Column] = []
        for host_type, price in enumerate(self.given.price.tolist()):
            fillings = price_columns(self.given, host_type, worth, _BATCH, self.rng)
            columns += [(host_type, on) for on in fillings if sum(worth[s] * n for s, n in on) > price + _GAIN]
        return columns

    def chosen(self) -> list[tuple[Column, float]]:
        """The columns of the last solution that are used, and how often."""
        used = np.array(self.solver.getSolution().col_value)
        columns = list(self.found)
        return [(columns[i], float(used[i])) for i in np.flatnonzero(used > ROUNDING)]


def columns_of(kept: Kept) -> list[Column]:
    """The hosts of a packing."""
    return [(host_type, tuple(sorted(on.items()))) for host_type, on in kept if on]


def _stow(given: Arrays, columns: Iterable[Column]) -> Stowage:
    """Hosts filled as the columns say, less what stands elsewhere already."""
    stowage = Stowage(given)
    for host_type, on in columns:
        if any(stowage.left[s] for s, _ in on) and stowage.can_open(host_type):
            host = stowage.open(host_type)
            for service, count in on:
                if number := min(count, int(stowage.left[service])):
                    stowage.add(host, service, number)
    return stowage


def dive(master: Columns, budget: Budget, finish: Callable[[Stowage], None]) -> None:
    """Round the master program up column by column, the surest first; `finish` completes what that leaves."""
    given = master.given
    left: Ints = given.replicas.copy()
    taken: list[Column] = []
    while left.any() and not budget.over:
        master.relax()
        sure = _surest(master.chosen(), left)
        if not sure:
            break
        for column in sure:
            taken.append(column)
            for service, count in column[1]:
                left[service] = max(left[service] - count, 0)
        for service in np.flatnonzero(left != given.replicas).tolist():
            master.solver.changeRowBounds(service, float(left[service]), highspy.kHighsInf)
        _, worth = master.relax()
        short = np.where(left > 0, worth, 0.0)
        master.add(master.priced(short))
        budget.spend(25)
    for service, replicas in enumerate(given.replicas.tolist()):
        master.solver.changeRowBounds(service, float(replicas), highspy.kHighsInf)
    finish(_stow(given, taken))


def _surest(chosen: list[tuple[Column, float]], left: Ints) -> list[Column]:
    """Columns that are whole already, else the one most so; none that holds more than is left."""
    useful = [(c, n) for c, n in chosen if all(left[s] >= k for s, k in c[1])]
    if not useful:
        return []
    best = max(n for _, n in useful)
    sure: list[Column] = []
    rest = left.copy()
    for column, number in sorted(useful, key=lambda x: (-x[1], x[0])):
        if number < min(best, 0.9) - ROUNDING or (best < 0.9 and len(sure) >= 1 + len(useful) // 30):  # noqa: PLR2004
            break
        for _ in range(max(int(number + 0.1), 1)):
            if all(rest[s] >= k for s, k in column[1]):
                sure.append(column)
                for s, k in column[1]:
                    rest[s] -= k
    return sure
