"""Services of which no two can share a host: each needs hosts of its own, so their counts add up to a bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Bools, Ints

_MEMBERS = 1500  # of the graph, the weightiest: its matrix has the square of that
_STARTS = 60
_TIES = 40
_WORK = 3e7  # entries of the matrix looked at, over all starts


@dataclass(frozen=True, slots=True)
class Clique:
    """members: services; hosts: how many they need together."""

    members: tuple[int, ...]
    hosts: int


def hosts_needed(given: Arrays) -> Ints:
    """(S,) hosts that each service needs alone, by its limit and by what the roomiest type holds."""
    most = given.fits_empty.max(axis=1, initial=0)
    return np.where(most > 0, -(-given.replicas // np.maximum(most, 1)), 0)


def exclusions(given: Arrays) -> tuple[tuple[int, ...], ...]:
    """(S,) the services that each may not share a host with, by rule."""
    return tuple(
        tuple(sorted({o for o, k in given.bounds[s] if k == 0} | {o for o, k in given.bounded_by[s] if k == 0}))
        for s in range(given.services)
    )


def heaviest_clique(given: Arrays) -> Clique:
    """A set of services that exclude each other, by rules or by size, that needs many hosts: greedy, then exchanges.

    Any such set gives a valid bound; finding the best is NP-hard.
    """
    weight = hosts_needed(given)
    members = np.argsort(-weight, kind="stable")[:_MEMBERS]
    weight = weight[members]
    exclude = _exclusions(given, members)
    best: list[int] = []
    starts = min(_STARTS, len(members), 1 + int(_WORK / (1 + int(exclude.sum()))))
    for start in range(starts):
        found = _exchanged(_grown([start], exclude, weight), exclude, weight)
        if weight[found].sum() > weight[best].sum():
            best = found
    return Clique(tuple(int(members[i]) for i in best), int(weight[best].sum()))


def _exclusions(given: Arrays, members: Ints) -> Bools:
    """(M, M) whether two services can never stand on one host."""
    exclude = _too_large(given, members)
    place = {int(s): i for i, s in enumerate(members)}
    for s, i in place.items():
        for other, limit in given.bounds[s]:
            if limit == 0 and other in place:
                exclude[i, place[other]] = exclude[place[other], i] = True
    np.fill_diagonal(exclude, val=False)
    return exclude


def _too_large(given: Arrays, members: Ints) -> Bools:
    """(M, M) whether one of each exceeds every type of host in some dimension."""
    exclude = np.zeros((len(members), len(members)), dtype=bool)
    largest = given.capacity.max(axis=0) + 2 * ROUNDING * given.scale
    for d, limit in enumerate(largest):
        demand = given.demand[members, d]
        if demand.max(initial=0.0) * 2 > limit:
            exclude |= demand[:, None] + demand[None, :] > limit
    return exclude


def _grown(clique: list[int], exclude: Bools, weight: Ints) -> list[int]:
    """Add the weightiest that excludes all, then those whose exclusions leave most to choose from."""
    open_to = exclude[clique].all(axis=0)
    while open_to.any():
        candidates = np.flatnonzero(open_to)
        heaviest = candidates[weight[candidates] == weight[candidates].max()][:_TIES]
        after = exclude[np.ix_(heaviest, candidates)] @ weight[candidates].astype(np.float64)
        best = int(heaviest[np.argmax(after)])
        clique = [*clique, best]
        open_to &= exclude[best]
    return clique


def _exchanged(clique: list[int], exclude: Bools, weight: Ints) -> list[int]:
    """Let one in for the members that it does not exclude, while that gains."""
    for _ in range(len(weight)):
        inside = np.zeros(len(weight), dtype=bool)
        inside[clique] = True
        lost = (~exclude[:, inside]) @ weight[inside]
        gain = np.where(inside, -1, weight - lost)
        best = int(gain.argmax())
        if gain[best] <= 0:
            return clique
        clique = _grown([c for c in clique if exclude[best, c]] + [best], exclude, weight)
    return clique
