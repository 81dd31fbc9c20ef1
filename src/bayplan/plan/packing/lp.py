"""The linear program of the bounds over several types of hosts, by HiGHS: import it late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import highspy
import numpy as np

from bayplan.plan.packing.arrays import Arrays, Floats, Ints

if TYPE_CHECKING:
    from bayplan.plan.packing.bounds import Row


def quiet() -> highspy.Highs:
    """A solver that prints nothing and, on one processor, gives the same answer each time."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    return solver


def relaxed(given: Arrays, rows: list[Row]) -> tuple[float, Ints, Floats, str]:
    """The least cost of hosts on which all shares fit, hosts and replicas divisible; (T,) those hosts,
    rounded up; and the rows that bind, in words.

    Variables: hosts x[t], then replicas y[s, t] for each allowed pair. Rows: one a service (all of it stands
    somewhere), one a bound row and type. 0 if the solver gives up: a bound that is always true.
    """
    pairs = np.argwhere(given.fits_empty > 0)
    types = len(given.price)
    limit = 1.0 / np.maximum(given.fits_empty[pairs[:, 0], pairs[:, 1]], 1)
    starts, index, value, lower, upper = [0], [], [], [], []

    def row(at: np.ndarray, what: np.ndarray, low: float, high: float) -> None:
        index.append(at.astype(np.int32))
        value.append(what.astype(np.float64))
        starts.append(starts[-1] + len(at))
        lower.append(low)
        upper.append(high)

    by_service = np.argsort(pairs[:, 0], kind="stable")
    edges = np.searchsorted(pairs[by_service, 0], np.arange(given.services + 1))
    for s in range(given.services):
        at = by_service[edges[s] : edges[s + 1]]
        if len(at):
            row(at + types, np.ones(len(at)), float(given.replicas[s]), float(given.replicas[s]))
    first_bound = len(lower)
    for t in range(types):
        of_type = np.flatnonzero(pairs[:, 1] == t)
        for bound in rows:
            share = bound.share[pairs[of_type, 0], t]
            used = share > 0
            row(np.append(of_type[used] + types, t), np.append(share[used], -1.0), -highspy.kHighsInf, 0.0)
    for y in np.argsort(-(given.replicas[pairs[:, 0]] * limit), kind="stable")[:200]:
        row(np.array([y + types, pairs[y, 1]]), np.array([limit[y], -1.0]), -highspy.kHighsInf, 0.0)

    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = types + len(pairs), len(lower)
    lp.col_cost_ = np.append(given.price, np.zeros(len(pairs)))
    lp.col_lower_ = np.zeros(lp.num_col_)
    lp.col_upper_ = np.append(given.count.astype(np.float64), np.full(len(pairs), highspy.kHighsInf))
    lp.row_lower_, lp.row_upper_ = np.array(lower), np.array(upper)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.array(starts, dtype=np.int32)
    lp.a_matrix_.index_ = np.concatenate(index) if index else np.zeros(0, dtype=np.int32)
    lp.a_matrix_.value_ = np.concatenate(value) if value else np.zeros(0)
    solver = quiet()
    solver.passModel(lp)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return 0.0, np.zeros(types, dtype=np.int64), np.zeros((given.services, types)), "nothing that could be proven"
    duals = np.abs(np.array(solver.getSolution().row_dual)[first_bound : first_bound + types * len(rows)])
    weight = duals.reshape(types, len(rows)).sum(axis=0)
    named = [rows[i].why for i in np.argsort(-weight, kind="stable") if weight[i] > weight.max() * 0.05]
    fleet = np.ceil(np.array(solver.getSolution().col_value[:types]) - 1e-6).astype(np.int64)
    share = np.zeros((given.services, types))
    share[pairs[:, 0], pairs[:, 1]] = solver.getSolution().col_value[types:]
    return float(solver.getInfo().objective_function_value), fleet, share, "; ".join(dict.fromkeys(named))
