"""Finding hosts that are worth more than they cost: many greedy fillings at once, each with weights of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Bools, Floats, Ints

Contents = tuple[tuple[int, int], ...]
_SMALL = 1e-6


def price_columns(
    given: Arrays, host_type: int, worth: Floats, batch: int, rng: np.random.Generator
) -> Iterator[Contents]:
    """Fillings of one host of a type, made to be worth much. worth: (S,) of a replica. All rules hold.

    B fillings grow together: at each step each takes the service that gives most worth for what it uses of what it has
    left, weighted by chance. What can share no host by a rule is left out of the filling that has the other.
    """
    able = np.flatnonzero((worth > ROUNDING) & (given.fits_empty[:, host_type] > 0))
    if not len(able):
        return
    demand = given.demand[able] / given.scale
    worth = worth[able]
    most = np.minimum(given.fits_empty[able, host_type], given.replicas[able])
    rules = _rules(given, able)
    free = np.tile((given.capacity[host_type] / given.scale) + ROUNDING, (batch, 1))
    weight = rng.exponential(1.0, free.shape) ** rng.choice((0.0, 0.5, 1.5), (batch, 1))
    value = worth * np.exp(rng.normal(0.0, 1.0, (batch, len(able))) * rng.choice((0.0, 0.05, 0.2, 0.5), (batch, 1)))
    power = rng.choice((1.0, 1.0, 0.5, 0.0), (batch, 1))
    count = np.zeros((batch, len(able)), dtype=np.int64)
    open_to = np.ones((batch, len(able)), dtype=bool)
    growing = np.arange(batch)
    while len(growing):
        room = free[growing]
        fits = open_to[growing] & (count[growing] < most)
        for d in range(demand.shape[1]):
            fits &= demand[:, d] <= room[:, d, None]
        open_to[growing] = fits
        use = (weight[growing] / np.maximum(room, _SMALL)) @ demand.T + _SMALL
        score = np.where(fits, value[growing] / use ** power[growing], -1.0)
        best = score.argmax(axis=1)
        alive = score[np.arange(len(growing)), best] >= 0
        growing, best = growing[alive], best[alive]
        count[growing, best] += 1
        free[growing] -= demand[best]
        for row, service in zip(growing.tolist(), best.tolist(), strict=True):
            if service in rules:
                _apply(rules[service], service, count[row], open_to[row])
    for column in count:
        on = np.flatnonzero(column)
        yield tuple((int(able[i]), int(column[i])) for i in on)


Rule = tuple[int, int, bool]  # the other; a limit; whether it is this one that limits the other


def _rules(given: Arrays, able: Ints) -> dict[int, list[Rule]]:
    place = {int(s): i for i, s in enumerate(able)}
    rules: dict[int, list[Rule]] = {}
    for s, i in place.items():
        found = [(place[o], k, True) for o, k in given.bounds[s] if o in place]
        found += [(place[o], k, False) for o, k in given.bounded_by[s] if o in place]
        if found:
            rules[i] = found
    return rules


def _apply(rules: list[Rule], service: int, count: Ints, open_to: Bools) -> None:
    """Close a filling to what its newest member does not allow, and to more of itself where another limits it."""
    for other, limit, is_mine in rules:
        if is_mine and count[other] >= limit:
            open_to[other] = False
        elif not is_mine and count[other] and count[service] >= limit:
            open_to[service] = False
        elif not is_mine and count[service] > limit:
            open_to[other] = False
