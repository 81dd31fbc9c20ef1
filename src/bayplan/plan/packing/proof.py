"""Proving with columns: the most that a host can be worth, exactly, turns the master program's prices into a bound.

If no host of type t is worth more than u[t] at these prices, the prices over max(u[t] / price[t]) are a solution of the
dual program, so what all replicas are worth at them is a lower bound of the cost (Farley, Oper. Res. 38, 1990). Rules
are left out of the pricing, which only makes u larger and the bound weaker.
"""

from __future__ import annotations

import highspy
import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.columns import Column, Columns
from bayplan.plan.packing.lp import quiet

_NODES = 400
_ROUNDS = 12
_UNITS = 150  # of effort, for one integer program


def proven(master: Columns, budget: Budget) -> float:
    """A lower bound of the cost; 0 if none was found. New columns go to the master program."""
    best = 0.0
    for _ in range(_ROUNDS):
        if not budget.spend(_UNITS * len(master.given.price)):
            break
        value, worth = master.relax()
        most, columns = _most_worth(master.given, worth, budget)
        best = max(best, float(master.given.replicas @ worth) / max(most, 1.0))
        if not master.add(columns) or value <= best * (1 + ROUNDING):
            break
        master.generate(budget)
    return best


def _most_worth(given: Arrays, worth: Floats, budget: Budget) -> tuple[float, list[Column]]:
    """No host is worth more than this times its price; and the hosts that are worth more than theirs."""
    most, columns = 0.0, []
    for host_type, price in enumerate(given.price.tolist()):
        if price <= 0:
            return float("inf"), []
        bound, on = _knapsack(given, host_type, worth, budget)
        most = max(most, bound / price)
        if on and _stands(given, host_type, on) and sum(worth[s] * n for s, n in on) > price * (1 + ROUNDING):
            columns.append((host_type, on))
    return most, columns


def _knapsack(
    given: Arrays, host_type: int, worth: Floats, budget: Budget
) -> tuple[float, tuple[tuple[int, int], ...]]:
    """An upper bound of what one host of a type can be worth, and the best that was found to put on it."""
    able = np.flatnonzero((worth > 0) & (given.fits_empty[:, host_type] > 0))
    if not len(able):
        return 0.0, ()
    solver = quiet()
    solver.setOptionValue("mip_max_nodes", _NODES)
    solver.cbMipInterrupt.subscribe(lambda event: None if budget.spend(0) else event.interrupt())
    solver.passModel(_model(given, host_type, worth, able))
    solver.run()
    info = solver.getInfo()
    bound = float(info.mip_dual_bound)
    found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    number = np.round(np.array(solver.getSolution().col_value)).astype(np.int64) if found else np.zeros(0, np.int64)
    on = tuple((int(able[i]), int(number[i])) for i in np.flatnonzero(number))
    return (-bound if np.isfinite(bound) else float("inf")), on


def _model(given: Arrays, host_type: int, worth: Floats, able: np.ndarray) -> highspy.HighsLp:
    """Minimize what is not gained: one column a service, one row a dimension."""
    share = given.demand[able] / given.scale
    room = (given.capacity[host_type] / given.scale) + ROUNDING
    most = np.minimum(given.fits_empty[able, host_type], given.replicas[able])
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = share.shape
    lp.col_cost_ = -worth[able]
    lp.col_lower_ = np.zeros(len(able))
    lp.col_upper_ = most.astype(np.float64)
    lp.row_lower_ = np.full(share.shape[1], -highspy.kHighsInf)
    lp.row_upper_ = room
    lp.integrality_ = [highspy.HighsVarType.kInteger] * len(able)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.arange(len(able) + 1, dtype=np.int32) * share.shape[1]
    lp.a_matrix_.index_ = np.tile(np.arange(share.shape[1], dtype=np.int32), len(able))
    lp.a_matrix_.value_ = share.ravel()
    return lp


def _stands(given: Arrays, host_type: int, on: tuple[tuple[int, int], ...]) -> bool:
    """Whether what an integer program put together may stand together, and truly fits."""
    count = dict(on)
    if any(count.get(o, 0) > k for s in count for o, k in given.bounds[s]):
        return False
    services, numbers = np.array(list(count)), np.array(list(count.values()))
    return bool((numbers @ given.demand[services] <= given.capacity[host_type] + ROUNDING * given.scale).all())
