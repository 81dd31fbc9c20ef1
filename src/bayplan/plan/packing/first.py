"""The first answers: constructions of several kinds, from which the search goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats, Ints
from bayplan.plan.packing.bounds import Lowest, lowest
from bayplan.plan.packing.cliques import hosts_needed
from bayplan.plan.packing.construct import Guide, Stop, by_dot_product, every, first_fit, in_use
from bayplan.plan.packing.stowage import Stowage

_SPARE = (0.015, 0.03, 0.045)


def first_answers(given: Arrays, names: list[str], bound: Lowest, stop: Stop) -> Iterator[tuple[str, Stowage]]:
    """Constructions, the quickest to prove something first; all but the first give up when told to stop."""
    size = given.key_demand.sum(axis=1)
    largest = given.key_demand.max(axis=1, initial=0.0)
    types, cheapest = _types(given), np.argsort(given.price, kind="stable")
    by_hosts = np.lexsort((-largest, -hosts_needed(given)))
    by_size, by_largest = np.argsort(-size, kind="stable"), np.argsort(-largest, kind="stable")
    yield "most hosts needed first", by_dot_product(given, by_hosts, types, narrow=in_use)
    for order in (by_size, by_largest, np.arange(given.services)):
        for preferred in (types, cheapest) if (types != cheapest).any() and np.ptp(given.price) else (types,):
            yield "first fit", first_fit(given, order, preferred, stop)
    guide = Guide(bound.fleet, _rounded(bound.share))
    ways = ((by_hosts, in_use), (by_size, every))
    costs = []
    for order, narrow in ways:
        stowage = by_dot_product(given, order, cheapest, guide, narrow, stop)
        costs.append((int(stowage.left.sum()), stowage.cost))
        yield "guided by the bound", stowage
    order, narrow = ways[costs.index(min(costs))]
    for spare in _SPARE:
        stowage = by_dot_product(given, order, cheapest, _guide(given, names, spare), narrow, stop)
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
