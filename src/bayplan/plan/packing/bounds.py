"""What no packing can be below, proven: by resources, large items, limits, exclusions, and prices.

Every bound here is a row: a share a[s, t] that a replica of s takes of a host of type t, such that on every feasible
host the shares sum to at most 1. Resources are rows (demand over capacity), cliques are (one of its members a host),
and so are dual feasible functions of a resource (Fekete and Schepers, Math. Program. 91, 2001), which see that large
items leave gaps. Hosts of one type: the fullest row. Several types or prices: a small linear program over all rows
(`lp`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from bayplan.plan.packing.arrays import Arrays, Floats, Ints
from bayplan.plan.packing.cliques import Clique, heaviest_clique
from bayplan.plan.packing.problem import Bound

_SAFE = 1e-7  # relative: a bound is rounded up only beyond what arithmetic may have added
_DFF_STEPS = (2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class Row:
    """share: (S, T); why: what binds, in words."""

    share: Floats
    why: str


def _bound_rows(given: Arrays, clique: Clique, names: list[str]) -> list[Row]:
    """All rows worth having. names: of services."""
    rows = list(_resources(given))
    if clique.hosts:
        rows.append(_of_clique(given, clique, names))
    return rows + list(_large(given))


def _resources(given: Arrays) -> Iterator[Row]:
    for d in given.keys:
        if given.demand[:, d].any():
            yield Row(_share(given, int(d)), f"all of the {given.resource[d]} that is needed at once")


def _share(given: Arrays, dimension: int) -> Floats:
    """(S, T) of one dimension; more than 1 where it does not fit, which `allowed` excludes anyway."""
    capacity = given.capacity[:, dimension]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = given.demand[:, dimension, None] / capacity[None, :]
    return np.minimum(np.nan_to_num(share, nan=0.0, posinf=2.0), 2.0)


def _of_clique(given: Arrays, clique: Clique, names: list[str]) -> Row:
    share = np.zeros(given.fits_empty.shape)
    for s in clique.members:
        share[s] = np.where(given.fits_empty[s] > 0, 1 / np.maximum(given.fits_empty[s], 1), 0.0)
    first = names[clique.members[0]]
    others = len(clique.members) - 1
    if not others:
        return Row(share, f"{first} alone, by how many of it a host can hold")
    return Row(share, f"{first} and {others} more that may not share a host, or cannot")


def _large(given: Arrays) -> Iterator[Row]:
    """Dual feasible functions of each key dimension: u(k), and the one that rounds large items up to all of a host."""
    for d in given.keys:
        share = _share(given, int(d))
        best, total = None, 0.0
        for candidate in _functions(share):
            need = float((given.replicas @ candidate).min())
            if need > total:
                best, total = candidate, need
        if best is not None and total > float((given.replicas @ share).min()) + _SAFE:
            yield Row(best, f"large items, which leave gaps of {given.resource[d]}")


def _functions(share: Floats) -> Iterator[Floats]:
    exact, half = 1e-9, 0.5  # two that are larger than half a host never share one
    for k in _DFF_STEPS:  # u(k): whole multiples of 1/(k+1) stay, the rest round down to multiples of 1/k
        scaled = share * (k + 1)
        whole = np.abs(scaled - np.round(scaled)) < exact
        yield np.where(whole, np.minimum(share, np.floor(scaled + exact) / k), np.floor(scaled) / k)
    small = share[(share > 0) & (share <= half)]
    if not small.size:
        return
    for cut in np.unique(np.quantile(small, np.linspace(0, 1, 12), method="lower")):
        yield np.where(share > 1 - cut + exact, 1.0, np.where(share < cut - exact, 0.0, share))


@dataclass(frozen=True, slots=True)
class Lowest:
    """fewest: hosts; cheapest: cost; fleet: (T,) and share: (S, T) the hosts and replicas that the cost is made of.

    share is None where one type will do.
    """

    fewest: Bound
    cheapest: Bound
    fleet: Ints
    share: Floats | None


def lowest(given: Arrays, names: list[str]) -> Lowest:
    """The fewest hosts, the lowest cost, and what hosts it would be."""
    rows = _bound_rows(given, heaviest_clique(given), names)
    fewest, fleet, share = _bound(replace(given, price=np.ones_like(given.price)), rows)
    if np.ptp(given.price) == 0.0:
        return Lowest(fewest, Bound(fewest.value * float(given.price[0]), fewest.why), fleet, share)
    cheapest, fleet, share = _bound(given, rows)
    return Lowest(fewest, cheapest, fleet, share)


def _bound(given: Arrays, rows: list[Row]) -> tuple[Bound, Ints, Floats | None]:
    kept = _undominated_types(given, rows)
    if len(kept) == 1:
        return _one_type(given, rows, int(kept[0]))
    from bayplan.plan.packing.lp import relaxed

    value, fleet, share, tight = relaxed(given, rows)
    return Bound(rounded_up(value, given.price), tight), fleet, share


def _one_type(given: Arrays, rows: list[Row], host_type: int) -> tuple[Bound, Ints, None]:
    needs = [float(given.replicas @ row.share[:, host_type]) for row in rows]
    best = int(np.argmax(needs)) if needs else 0
    hosts = math.ceil(needs[best] * (1 - _SAFE)) if needs else 0
    hosts = max(hosts, 1 if given.replicas.any() else 0)
    fleet = np.zeros(len(given.price), dtype=np.int64)
    fleet[host_type] = hosts
    return Bound(hosts * float(given.price[host_type]), rows[best].why if rows else ""), fleet, None


def _undominated_types(given: Arrays, rows: list[Row]) -> Ints:
    """Types for which no other is at most as dear, at least as roomy, allowed wherever it is, and there is enough."""
    types = range(len(given.price))
    needs = np.array([given.replicas @ row.share for row in rows]).reshape(len(rows), len(given.price))
    enough = given.count > needs.max(axis=0, initial=0.0)

    def beats(a: int, b: int) -> bool:
        no_worse = given.price[a] <= given.price[b] and bool((given.capacity[a] >= given.capacity[b]).all())
        allowed = bool((given.allowed[:, a] | ~given.allowed[:, b]).all())
        same = given.price[a] == given.price[b] and bool((given.capacity[a] == given.capacity[b]).all())
        return bool(enough[a]) and no_worse and allowed and (not same or a < b)

    return np.array([b for b in types if not any(beats(a, b) for a in types if a != b)], dtype=np.int64)


def rounded_up(value: float, price: Floats) -> float:
    """Up to the next cost that hosts of these prices can have together."""
    exact = [Fraction(str(round(p, 6))) for p in price.tolist()]
    step = Fraction(
        math.gcd(*(f.numerator * (math.lcm(*(g.denominator for g in exact)) // f.denominator) for f in exact))
    )
    step /= math.lcm(*(f.denominator for f in exact))
    return float(math.ceil(value * (1 - _SAFE) / float(step)) * step) if step else value
