"""Local search: give a host back, and find room for what stood on it.

The state is always a valid packing of some replicas, and a pool of those that stand nowhere (`Stowage.left`). A move
puts one in where it fits, swaps one in for a smaller one or for one that finds a place elsewhere, or empties a few
hosts and fills them anew with the pool at hand; it stays if the pool did not grow. When the pool is empty, that is a
better answer, and the next host is given back. This is the idea of consistent neighbourhood search (Buljubasic and
Vasquez, Comput. Oper. Res. 76, 2016), for any number of dimensions and with rules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Floats, Ints
from bayplan.plan.packing.budget import Budget
from bayplan.plan.packing.construct import fill
from bayplan.plan.packing.stowage import Stowage

Kept = list[tuple[int, dict[int, int]]]

_NEAR = 40  # hosts that a swap looks at
_TRIES = 12  # swaps that are checked in all dimensions
_STALE = 400  # moves without a smaller pool, after which sizes are weighed anew
_PATIENCE = 3  # times that it goes stale before another host is tried in its place
_SHARPNESS = 6.0  # how much more the fullest dimension counts


class Search:
    """One descent from a packing. Deterministic for the same packing, seed and budget."""

    def __init__(self, stowage: Stowage, budget: Budget, seed: int) -> None:
        self.stowage, self.budget = stowage, budget
        self.given: Arrays = stowage.given
        self.rng = np.random.default_rng(seed)
        self.weight: Floats = np.ones(len(self.given.keys))
        self.size: Floats = np.ones(self.given.services)
        self.failed = 0
        self._weigh()

    def descend(self, enough: float, found: Callable[[Kept, float], None]) -> None:
        """Cheaper and cheaper until `enough` or the budget is over. found: gets each packing that holds everything."""
        kept: Kept = []
        while not self.budget.over:
            if not self.stowage.left.any():
                kept, self.failed = self.stowage.copy_of(), 0
                found(kept, self.stowage.cost)
                if self.stowage.cost <= enough + ROUNDING or not self.give_back():
                    return
                self._weigh()
            if not self._settle():
                self.failed += 1
                if self.failed % _PATIENCE:
                    self._weigh(noise=0.5)
                    self._shake()
                else:
                    self.stowage = Stowage.restored(self.given, kept)
                    self.give_back()
                    self._weigh()

    def absorb(self, tries: int = 1) -> bool:
        """Find room on the open hosts for all that is left. tries: times that it may go stale."""
        for _ in range(tries):
            if self._settle():
                return True
            if self.budget.over:
                return False
            self._weigh(noise=0.5)
            self._shake()
        return False

    def _weigh(self, noise: float = 0.0) -> None:
        """What a replica's size is: its shares, those counted most of which the open hosts have least."""
        capacity = self.stowage.opened @ (self.given.capacity / self.given.scale)
        need = self.given.replicas @ self.given.key_demand
        tight = need / np.maximum(capacity[self.given.keys], ROUNDING)
        weight = (tight / max(float(tight.max(initial=0.0)), ROUNDING)) ** _SHARPNESS
        weight = weight * np.exp(self.rng.normal(0.0, noise, len(weight))) if noise else weight
        self.weight = weight / max(float(weight.sum()), ROUNDING)
        self.size = self.given.key_demand @ self.weight + ROUNDING

    def give_back(self) -> bool:
        """Close one of the emptiest hosts for their price, or take a cheaper one in its place."""
        hosts = self.stowage.open_hosts
        if len(hosts) < 2:  # noqa: PLR2004  the last one carries what there is
            return False
        prices = self.given.price[self.stowage.type[hosts]]
        filled = (self._capacity(hosts) - self.stowage.key_free[hosts]) @ self.weight
        some = 1 + len(hosts) * (1 + self.failed // _PATIENCE) // 20
        worst = hosts[np.argsort(filled / np.maximum(prices, ROUNDING), kind="stable")[:some]]
        host = int(self.rng.choice(worst))
        was = int(self.stowage.type[host])
        self.stowage.close(host)
        cheaper = [t for t in np.argsort(self.given.price) if self.given.price[t] < self.given.price[was] - ROUNDING]
        cheaper = [t for t in cheaper if self.stowage.can_open(t)]
        if cheaper and self.rng.random() < 0.7:  # noqa: PLR2004  more often a smaller host than none
            self.stowage.open(int(self.rng.choice(cheaper)))
        return True

    def _capacity(self, hosts: Ints) -> Floats:
        shares = self.given.capacity[:, self.given.keys] / self.given.scale[self.given.keys]
        capacity: Floats = shares[self.stowage.type[hosts]]
        return capacity

    def _pool(self) -> float:
        return float(self.stowage.left @ self.size)

    def _settle(self) -> bool:
        """Moves until the pool is empty; whether it became so before it went stale."""
        stale, best = 0, self._pool()
        while self.stowage.left.any() and stale < _STALE:
            self._move()
            if not self.budget.spend():
                return False
            now = self._pool()
            stale = 0 if now < best - ROUNDING else stale + 1
            best = min(best, now)
        return not self.stowage.left.any()

    def _move(self) -> None:
        pool = np.flatnonzero(self.stowage.left > 0)
        service = int(self.rng.choice(pool))
        hosts = self.stowage.candidates(service)
        if len(hosts):
            self.stowage.add(self._tightest(hosts), service)
            return
        kind = self.rng.random()
        if kind < 0.4:  # noqa: PLR2004  shares found to do well on sets of all kinds: docs/decisions/0010
            self._swap(service)
        elif kind < 0.6:  # noqa: PLR2004
            self._push(service)
        else:
            self._refill(pool)

    def _tightest(self, hosts: Ints) -> int:
        return int(hosts[np.argmin(self.stowage.key_free[hosts] @ self.weight)])

    def _near(self, service: int) -> Ints:
        """Hosts where least is missing for a service, with some luck."""
        hosts = self.stowage.open_hosts
        if len(hosts) <= _NEAR:
            return hosts
        missing = np.maximum((self.given.key_demand[service] - self.stowage.key_free[hosts]).max(axis=1), 0.0)
        missing = missing + self.rng.exponential(max(float(missing.mean()), 0.0) * 0.3 + ROUNDING, len(hosts))
        near: Ints = hosts[np.argpartition(missing, _NEAR)[:_NEAR]]
        return near

    def _swap(self, service: int) -> None:
        """One in for one out that is smaller."""
        stowage, given = self.stowage, self.given
        at = [(int(h), s) for h in self._near(service) for s in stowage.on[h] if self.size[s] < self.size[service]]
        if not at:
            return
        pairs = np.array(at, dtype=np.int64)
        free = stowage.key_free[pairs[:, 0]] + given.key_demand[pairs[:, 1]]
        pairs = pairs[(given.key_demand[service] <= free + ROUNDING).all(axis=1)]
        for host, out in pairs[np.argsort(self.size[pairs[:, 1]], kind="stable")[:_TRIES]].tolist():
            stowage.remove(host, out)
            if stowage.takes(host, service):
                stowage.add(host, service)
                return
            stowage.add(host, out)

    def _push(self, service: int) -> None:
        """One in for another that finds a place elsewhere, whatever its size; those that a rule is about come first."""
        stowage = self.stowage
        tried = 0
        for host in self.rng.permutation(self._near(service)).tolist():
            for out in self._in_the_way(host, service):
                tried += 1
                count = stowage.on[host][out]
                stowage.remove(host, out, count)
                if stowage.takes(host, service):
                    stowage.add(host, service)
                    if self._rehouse(out, count, host):
                        return
                    stowage.remove(host, service)
                stowage.add(host, out, count)
                if tried > _TRIES:
                    return

    def _in_the_way(self, host: int, service: int) -> list[int]:
        """Services on a host without which one more might be let in."""
        on, given = self.stowage.on[host], self.given
        by_rule = {o for o, k in given.bounded_by[service] if o in on and on.get(service, 0) >= k}
        by_rule |= {o for o, k in given.bounds[service] if on.get(o, 0) > k}
        if by_rule:
            return list(by_rule) if len(by_rule) == 1 else []
        missing = given.key_demand[service] - self.stowage.key_free[host]
        found = [o for o in on if on[o] == 1 and (given.key_demand[o] >= missing).all()]
        return found[: _TRIES // 4]

    def _rehouse(self, service: int, count: int, but: int) -> bool:
        """Find `count` places elsewhere; none is taken if there are not enough."""
        hosts = self.stowage.candidates(service)
        hosts = hosts[hosts != but]
        if len(hosts) < count:
            return False
        free = self.stowage.key_free[hosts] @ self.weight
        for host in hosts[np.argsort(free, kind="stable")[:count]].tolist():
            self.stowage.add(host, service)
        return True

    def _refill(self, pool: Ints, noise: float = 0.3, *, accept: bool = False) -> None:
        """Empty a few hosts and fill them anew, the pool at hand; as it was, if the pool would grow."""
        stowage = self.stowage
        hosts = self._some_hosts()
        before = self._pool()
        stood = [(host, stowage.clear(host)) for host in hosts]
        services = np.unique(np.concatenate([pool, *(np.array([s for s, _ in on], dtype=np.int64) for _, on in stood)]))
        for host in hosts:
            worth = np.exp(self.rng.normal(0.0, noise, len(services)))
            fill(stowage, host, services, worth, self.weight)
        if accept or self._pool() <= before + ROUNDING:
            return
        for host in hosts:
            stowage.clear(host)
        for host, on in stood:
            for service, count in on:
                stowage.add(host, service, count)

    def _some_hosts(self) -> list[int]:
        hosts = self.stowage.open_hosts
        count = min(len(hosts), int(self.rng.integers(1, 4)))
        return [int(h) for h in self.rng.choice(hosts, count, replace=False)]

    def _shake(self) -> None:
        """Refill a few hosts whatever comes of it: elsewhere there may be a way down."""
        for _ in range(3):
            self._refill(np.flatnonzero(self.stowage.left > 0), 0.6, accept=True)
