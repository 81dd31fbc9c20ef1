"""Fast first answers, service by service (first fit, dot product), and what fills one host (the densest next replica).

All see the rules through `Stowage`. Which is best depends on what binds, so the search tries several and keeps
the best: docs/decisions/0015-packing-method.md has the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats, Ints
from bayplan.plan.packing.cliques import exclusions, hosts_needed
from bayplan.plan.packing.stowage import Stowage

Stop = Callable[[], bool]
_SPOILT = 0.02  # of a host's free room: what one place lost to another service counts


def never() -> bool:
    """When an answer is wanted however long it takes. Stopped early, a construction leaves some over."""
    return False


def first_fit(given: Arrays, order: Ints, types: Ints, stop: Stop = never) -> Stowage:
    """Each service in turn on the first hosts that take it. types: those to open, the first that will do."""
    stowage = Stowage(given)
    for service in order:
        if stop():
            break
        for host in stowage.candidates(service):
            count = min(int(stowage.left[service]), stowage.room(host, service))
            if count:
                stowage.add(host, service, count)
            if not stowage.left[service]:
                break
        _open_for(stowage, service, types)
    return stowage


@dataclass(frozen=True, slots=True)
class Guide:
    """fleet: (T,) hosts to open at once; quota: (S, T) replicas that are to stand on each type, as far as they fit."""

    fleet: Ints
    quota: Ints | None = None


Narrow = Callable[[Stowage, Ints], Ints]


def every(_stowage: Stowage, hosts: Ints) -> Ints:
    """Any host will do: work spreads over all that are open."""
    return hosts


def in_use(stowage: Stowage, hosts: Ints) -> Ints:
    """Those that something stands on, if there is one: an empty host is kept for what fits nowhere else."""
    used = stowage.stands[hosts] > 0
    return hosts[used] if used.any() else hosts


def by_dot_product(
    given: Arrays,
    order: Ints,
    types: Ints,
    guide: Guide | None = None,
    narrow: Narrow = every,
    stop: Stop = never,
) -> Stowage:
    """Each service in turn, one replica each, on the hosts whose free room points the way that its demand does.

    guide: with as many hosts as are needed anyway open from the beginning, there is room of every shape. Where services
    exclude each other, those hosts come first where that takes the fewest places from what is still to come.
    """
    work = _ByDotProduct(given, narrow, guide)
    for service in order:
        if stop():
            return work.stowage
        work.place(int(service))
        if guide is None:
            work.open_and_put(int(service), types)
    for service in order:
        if stop():
            break
        work.open_and_put(int(service), types)
    close_empty(work.stowage)
    return work.stowage


class _ByDotProduct:
    """One construction under way."""

    def __init__(self, given: Arrays, narrow: Narrow, guide: Guide | None) -> None:
        self.given, self.narrow, self.guide = given, narrow, guide
        self.stowage = Stowage(given)
        self.excluded, self.needed = exclusions(given), hosts_needed(given)
        for host_type, count in enumerate(guide.fleet if guide else ()):
            for _ in range(min(int(count), int(given.count[host_type]))):
                self.stowage.open(host_type)

    def place(self, service: int) -> None:
        """On the types that the guide says, then on any that is open."""
        if self.guide is not None and self.guide.quota is not None:
            for host_type, count in enumerate(self.guide.quota[service]):
                self.put(service, int(count), host_type)
        self.put(service)

    def open_and_put(self, service: int, types: Ints) -> None:
        """What is left, on hosts that are opened one by one: the next replica may find room on the last."""
        self.put(service)
        while self.stowage.left[service] and _open_for(self.stowage, service, types, at_most=1):
            self.put(service)

    def put(self, service: int, at_most: int = 1 << 30, host_type: int | None = None) -> None:
        """Up to `at_most` on hosts that are open."""
        stowage = self.stowage
        rest = min(int(stowage.left[service]), at_most)
        while rest:
            hosts = stowage.candidates(service)
            hosts = hosts if host_type is None else hosts[stowage.type[hosts] == host_type]
            if not len(hosts):
                return
            hosts = self.narrow(stowage, hosts)
            for host in hosts[np.argsort(-self._score(service, hosts), kind="stable")[:rest]]:
                stowage.add(int(host), service)
                rest -= 1

    def _score(self, service: int, hosts: Ints) -> Floats:
        score: Floats = self.stowage.key_free[hosts] @ self.given.key_demand[service]
        if self.excluded[service]:
            score -= _spoilt(self.stowage, self.excluded[service], self.needed)[hosts] * _SPOILT
        return score


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


def _open_for(stowage: Stowage, service: int, types: Ints, at_most: int | None = None) -> bool:
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
