"""Hosts being filled: what is free on each, what stands where, what is left. The one mutable thing in packing.

Every way to put a replica on a host goes through here and asks `room`, so that no search can break a rule.
"""

from __future__ import annotations

import numpy as np

from bayplan.plan.packing.arrays import ROUNDING, Arrays, Bools, Floats, Ints, most


class Stowage:
    """free: (H, D), with what rounding allows; key_free: (H, K), shares; type: of each host; on: host to its services;
    where: service to its hosts; left: replicas that stand nowhere. A closed host has type -1, and nothing fits there.
    """

    def __init__(self, given: Arrays) -> None:
        self.given = given
        self.slack = given.capacity + ROUNDING * given.scale
        self.hosts = 0
        self._free = np.zeros((64, given.demand.shape[1]))
        self._key_free = np.zeros((64, len(given.keys)))
        self._type = np.full(64, -1, dtype=np.int64)
        self._stands = np.zeros(64, dtype=np.int64)
        self.on: list[dict[int, int]] = []
        self.where: list[dict[int, int]] = [{} for _ in range(given.services)]
        self.left: Ints = given.replicas.copy()
        self.opened: Ints = np.zeros(len(given.price), dtype=np.int64)
        self._closed: list[int] = []

    @property
    def free(self) -> Floats:
        return self._free[: self.hosts]

    @property
    def key_free(self) -> Floats:
        return self._key_free[: self.hosts]

    @property
    def type(self) -> Ints:
        return self._type[: self.hosts]

    @property
    def stands(self) -> Ints:
        """(H,) replicas on each host."""
        return self._stands[: self.hosts]

    @property
    def open_hosts(self) -> Ints:
        """Indices of the hosts that are open."""
        return np.flatnonzero(self.type >= 0)

    @property
    def cost(self) -> float:
        return float(self.opened @ self.given.price)

    def open(self, host_type: int) -> int:
        """A new, empty host; its index. The caller has asked `can_open`."""
        if self._closed:
            host = self._closed.pop()
        else:
            host = self.hosts
            self._grow()
            self.on.append({})
        self._type[host] = host_type
        self._free[host] = self.slack[host_type]
        self._key_free[host] = self._keys_of(host)
        self.opened[host_type] += 1
        return host

    def can_open(self, host_type: int) -> bool:
        return bool(self.opened[host_type] < self.given.count[host_type])

    def close(self, host: int) -> list[tuple[int, int]]:
        """Empty a host and give it back. What stood on it: (service, replicas)."""
        stood = self.clear(host)
        self.opened[self._type[host]] -= 1
        self._type[host] = -1
        self._free[host] = -1.0
        self._key_free[host] = -1.0
        self._closed.append(host)
        return stood

    def clear(self, host: int) -> list[tuple[int, int]]:
        """Take everything off a host. What stood on it: (service, replicas)."""
        stood = list(self.on[host].items())
        for service, count in stood:
            del self.where[service][host]
            self.left[service] += count
        self.on[host].clear()
        self._stands[host] = 0
        self._free[host] = self.slack[self._type[host]]
        self._key_free[host] = self._keys_of(host)
        return stood

    def add(self, host: int, service: int, count: int = 1) -> None:
        """Put replicas on a host. The caller has asked `room`."""
        on = self.on[host]
        on[service] = on.get(service, 0) + count
        self.where[service][host] = on[service]
        self.left[service] -= count
        self._stands[host] += count
        self._free[host] -= self.given.demand[service] * count
        self._key_free[host] -= self.given.key_demand[service] * count

    def remove(self, host: int, service: int, count: int = 1) -> None:
        """Take replicas off a host."""
        on = self.on[host]
        rest = on[service] - count
        if rest:
            on[service] = self.where[service][host] = rest
        else:
            del on[service], self.where[service][host]
        self.left[service] += count
        self._stands[host] -= count
        self._free[host] += self.given.demand[service] * count
        self._key_free[host] += self.given.key_demand[service] * count

    def ruled(self, host: int, service: int) -> int:
        """How many more of a service the rules allow on a host, whatever it has free."""
        if self._type[host] < 0 or not self.given.allowed[service, self._type[host]]:
            return 0
        on = self.on[host]
        has = on.get(service, 0)
        more = int(self.given.limit[service]) - has
        for other, limit in self.given.bounded_by[service]:
            if other in on:
                more = min(more, limit - has)
        for other, limit in self.given.bounds[service]:
            if on.get(other, 0) > limit:
                return 0
        return max(more, 0)

    def room(self, host: int, service: int) -> int:
        """How many more of a service a host can take."""
        if not (self.given.demand[service] <= self._free[host]).all():
            return 0
        ruled = self.ruled(host, service)
        return min(ruled, int(most(self.given.demand[service], self._free[host]))) if ruled > 1 else ruled

    def takes(self, host: int, service: int) -> bool:
        """Whether a host can take one more."""
        return bool((self.given.demand[service] <= self._free[host]).all()) and self.ruled(host, service) > 0

    def candidates(self, service: int) -> Ints:
        """The hosts that can take one more replica of a service."""
        found = np.flatnonzero((self.given.key_demand[service] <= self.key_free + ROUNDING).all(axis=1))
        found = found[(self.given.demand[service] <= self._free[found]).all(axis=1)]
        allowed: Ints = found[self.ruled_in(service)[found]]
        return allowed

    def ruled_in(self, service: int) -> Bools:
        """(H,) hosts on which the rules allow one more."""
        given = self.given
        fine = self.type >= 0
        if not given.allowed[service].all():
            fine &= given.allowed[service][self.type]
        where, limit = self.where[service], int(given.limit[service])
        for host, has in where.items():
            if has >= limit:
                fine[host] = False
        for other, limit in given.bounded_by[service]:
            for host in self.where[other]:
                if where.get(host, 0) >= limit:
                    fine[host] = False
        for other, limit in given.bounds[service]:
            for host, has in self.where[other].items():
                if has > limit:
                    fine[host] = False
        return fine

    def copy_of(self) -> list[tuple[int, dict[int, int]]]:
        """What is open, and what stands there: enough to `restore` it."""
        return [(int(self._type[h]), dict(self.on[h])) for h in self.open_hosts]

    @classmethod
    def restored(cls, given: Arrays, kept: list[tuple[int, dict[int, int]]]) -> Stowage:
        """The stowage that `copy_of` told of."""
        stowage = cls(given)
        for host_type, on in kept:
            host = stowage.open(host_type)
            for service, count in on.items():
                stowage.add(host, service, count)
        return stowage

    def _keys_of(self, host: int) -> Floats:
        keys = self.given.keys
        shares: Floats = self._free[host, keys] / self.given.scale[keys]
        return shares

    def _grow(self) -> None:
        self.hosts += 1
        if self.hosts <= len(self._type):
            return
        more = len(self._type)
        self._free = np.concatenate([self._free, np.zeros((more, self._free.shape[1]))])
        self._key_free = np.concatenate([self._key_free, np.zeros((more, self._key_free.shape[1]))])
        self._stands = np.concatenate([self._stands, np.zeros(more, dtype=np.int64)])
        self._type = np.concatenate([self._type, np.full(more, -1, dtype=np.int64)])
