"""From a packing to one that survives losses: as it is, balanced over a few hosts more, or with refuges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Ints
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.construct import Guide, by_dot_product, close_empty, every
from bayplan.plan.packing.improve import Kept, Search
from bayplan.plan.packing.search import Best
from bayplan.plan.packing.stowage import Stowage
from bayplan.plan.packing.survive import Loss, can_try, first_loss, unlimited, with_refuges

_ATTEMPTS = 60  # hosts given back, each time another
_CHEAPEN = 20_000  # units at most


def secured(best: Best, lost: int, enough: float, budget: Budget) -> tuple[Kept, Loss | None]:
    """The cheapest packing found that survives the loss of any `lost` hosts; else a loss that is too much."""
    given = best.given
    after = unlimited(given, given.written_limit)
    found: list[tuple[float, Kept]] = []
    loss: Loss | None = None
    refuges = with_refuges(after, given.pinned, best.kept, lost)
    if refuges is not None:
        found.append((_cost(given, refuges), refuges))
    for kept in _balanced(best, lost):
        cost = _cost(given, kept)
        if not can_try(len(kept), lost) or any(cost > known + ROUNDING for known, _ in found):
            continue
        harm = first_loss(after, given.pinned, kept, lost)
        if harm is None:
            found.append((cost, kept))
        loss = loss or harm
    if found:
        cost, kept = min(found, key=lambda x: (x[0], _idle(x[1])))
        return _cheapened(after, given, kept, cost, lost, enough, budget), None
    return best.kept, loss or Loss(tuple(range(min(lost, len(best.kept)))), int(np.argmax(given.replicas)))


def _cheapened(after: Arrays, given: Arrays, kept: Kept, cost: float, lost: int, enough: float, budget: Budget) -> Kept:
    """Where each loss can be tried: hosts given back or made cheaper, as long as it survives."""
    if not can_try(len(kept), lost):
        return kept
    part = budget.part(_CHEAPEN)
    for attempt in range(_ATTEMPTS):
        if cost <= enough + ROUNDING or part.over:
            break
        search = Search(Stowage.restored(given, kept), part, attempt)
        if not (search.give_back() and search.absorb(tries=1)):
            continue
        close_empty(search.stowage)
        tried = search.stowage.copy_of()
        if first_loss(after, given.pinned, tried, lost) is None:
            kept, cost = tried, search.stowage.cost
    budget.settle(part)
    return kept


def _balanced(best: Best, lost: int) -> Iterator[Kept]:
    """What was found, and the same work spread over as many hosts, then over more."""
    given = best.given
    yield best.kept
    if not can_try(len(best.kept) + lost, lost):
        return
    fleet = np.bincount([host_type for host_type, _ in best.kept], minlength=len(given.price))
    for more in _more(given, fleet, lost):
        for order in (-given.key_demand.max(axis=1, initial=0.0), -given.key_demand.sum(axis=1)):
            types = np.argsort(given.price, kind="stable")
            stowage = by_dot_product(given, np.argsort(order, kind="stable"), types, Guide(more), every)
            if not stowage.left.any():
                yield stowage.copy_of()


def _more(given: Arrays, fleet: Ints, lost: int) -> Iterator[Ints]:
    """Fleets with up to twice as many more hosts of each type as may be lost, the fewest first, then all there are."""
    for number in range(2 * lost + 1):
        for host_type in np.argsort(given.price, kind="stable").tolist() if number else [0]:
            more = fleet.copy()
            more[host_type] += number
            if (more <= given.count).all():
                yield more
    yield np.minimum(given.count, fleet + int(fleet.sum()) + lost)


def _idle(kept: Kept) -> int:
    """Hosts that nothing stands on: of two answers that cost the same, one that uses what it pays for."""
    return sum(1 for _, on in kept if not on)


def _cost(given: Arrays, kept: Kept) -> float:
    return float(sum(given.price[host_type] for host_type, _ in kept))
