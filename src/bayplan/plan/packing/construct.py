"""Fast first answers: service by service (first fit, dot product) and host by host (the densest next replica).

Both see the rules through `Stowage`. Which is best depends on what binds, so the search tries several and keeps the best:
docs/decisions/0010-packing-method.md has the comparison.
"""

from __future__ import annotations

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats, Ints
from bayplan.plan.packing.cliques import exclusions, hosts_needed
from bayplan.plan.packing.stowage import Stowage

_SPOILT = 0.02  # of a host's free room: what one place lost to another service counts


def sizes(given: Arrays, weight: Floats) -> Floats:
    """(S,) one number a service: its share of the largest host in each dimension, weighted."""
    return (given.demand / given.scale) @ weight


def scarcity(given: Arrays) -> Floats:
    """(D,) how much of all hosts each dimension needs, over the fullest: what is scarce counts most. Sums to 1."""
    need = given.replicas @ (given.demand / given.scale)
    weight = np.asarray((need / max(float(need.max(initial=0.0)), 1e-12)) ** 4)
    return weight / max(float(weight.sum()), 1e-12)


def first_fit(given: Arrays, order: Ints, types: Ints) -> Stowage:
    """Each service in turn on the first hosts that take it. types: those to open, the first that will do."""
    stowage = Stowage(given)
    for service in order:
        for host in stowage.candidates(service):
            count = min(int(stowage.left[service]), stowage.room(host, service))
            if count:
                stowage.add(host, service, count)
            if not stowage.left[service]:
                break
        open_for(stowage, service, types)
    return stowage


def by_dot_product(given: Arrays, order: Ints, types: Ints, start: Ints | None = None) -> Stowage:
    """Each service in turn, one replica each, on the hosts whose free room points the way that its demand does.

    start: (T,) hosts to open at once; those that stay empty are given back. With as many as are needed anyway, work
    spreads over them from the beginning, which leaves room of every shape. Where services exclude each other, those hosts
    come first where that takes the fewest places from what is still to come.
    """
    stowage = Stowage(given)
    for host_type, count in enumerate(start if start is not None else ()):
        for _ in range(min(int(count), int(given.count[host_type]))):
            stowage.open(host_type)
    excluded, needed = exclusions(given), hosts_needed(given)
    for service in order:
        while stowage.left[service]:
            hosts = stowage.candidates(service)
            if not len(hosts):
                if not open_for(stowage, service, types, at_most=1):
                    break
                continue
            score = stowage.key_free[hosts] @ given.key_demand[service]
            if excluded[service]:
                score -= _spoilt(stowage, excluded[service], needed)[hosts] * _SPOILT
            for host in hosts[np.argsort(-score, kind="stable")[: int(stowage.left[service])]]:
                stowage.add(int(host), service)
    close_empty(stowage)
    return stowage


def _spoilt(stowage: Stowage, excluded: tuple[int, ...], needed: Ints) -> Floats:
    """(H,) for each host, the places that others would lose if one of those that exclude them came to it."""
    lost = np.zeros(stowage.hosts)
    for other in excluded:
        if stowage.left[other]:
            lost += stowage.ruled_in(other) * float(needed[other])
    return lost


def close_empty(stowage: Stowage) -> None:
    """Give back the hosts that nothing stands on."""
    for host in stowage.open_hosts:
        if not stowage.on[host]:
            stowage.close(int(host))


def open_for(stowage: Stowage, service: int, types: Ints, at_most: int | None = None) -> bool:
    """Open hosts for what is left of a service, and fill them with it. at_most: replicas on each. Whether any was."""
    given, opened = stowage.given, False
    for host_type in types:
        fits = int(given.fits_empty[service, host_type])
        fits = fits if at_most is None else min(fits, at_most)
        while fits and stowage.left[service] and stowage.can_open(host_type):
            host = stowage.open(host_type)
            stowage.add(host, service, min(fits, int(stowage.left[service])))
            opened = True
            if at_most is not None:
                return True
    return opened


def fill(stowage: Stowage, host: int, services: Ints, worth: Floats, weight: Floats) -> None:
    """Fill one host from what is left of `services`, the best next replica first.

    worth: (len(services),) a factor on each service's score; weight: (K,) of the key dimensions. The score is the dot
    product of demand and free room, so that what is plentiful on the host is used first. What does not fit once never
    fits later, as a host only fills: the candidates shrink step by step.
    """
    given = stowage.given
    alive = stowage.left[services] > 0
    services, worth = services[alive], worth[alive]
    demand = given.key_demand[services]
    while len(services):
        free = stowage.key_free[host]
        fits = (demand <= free + ROUNDING).all(axis=1)
        if not fits.all():
            services, worth, demand = services[fits], worth[fits], demand[fits]
            if not len(services):
                return
        score = (demand @ (weight * np.maximum(free, 0.0))) * worth
        best = _best_that_fits(stowage, host, services, score)
        if best is None:
            return
        service = int(services[best])
        stowage.add(host, service)
        if not stowage.left[service]:
            keep = np.arange(len(services)) != best
            services, worth, demand = services[keep], worth[keep], demand[keep]


def _best_that_fits(stowage: Stowage, host: int, services: Ints, score: Floats) -> int | None:
    for _ in range(len(services)):
        best = int(score.argmax())
        if score[best] < 0:
            return None
        if stowage.takes(host, int(services[best])):
            return best
        score[best] = -1.0
    return None


def host_by_host(given: Arrays, types: Ints, worth: Floats, weight: Floats, stowage: Stowage | None = None) -> Stowage:
    """Open a host, fill it, until nothing is left. worth: (S,); weight: (K,). types: the first that will do."""
    stowage = stowage or Stowage(given)
    while True:
        services = np.flatnonzero(stowage.left > 0)
        host_type = next((int(t) for t in types if stowage.can_open(t) and given.fits_empty[services, t].any()), None)
        if host_type is None:
            return stowage
        host = stowage.open(host_type)
        fill(stowage, host, services, worth[services], weight)
