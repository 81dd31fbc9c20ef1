"""The board on which one plan stows replicas: what each host has left, with what this plan has put there so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace

from bayplan.facts import Facts, HostFacts, Replica
from bayplan.plan.demand import Demand, demand_of, minus, plus
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.packing.amount import Amount
from bayplan.plan.replica import fixed_ports, free_targets, slot_and_host
from bayplan.plan.volumes import homes_of
from bayplan.spec.model import Host, Port, Service
from bayplan.spec.pinned import pinned


@dataclass(slots=True)
class Berth:
    """One host. cpus, memory: capacity less headroom; used_*: taken by the replicas of every app.

    taken: ports that something holds, or that a pool still sends traffic to. in_use: some replica stands there
    that is not on every host anyway.
    """

    host: Host
    facts: HostFacts
    cpus: float
    memory: float
    used_cpus: Amount = 0.0
    used_memory: Amount = 0.0
    taken: set[tuple[str, int]] = field(default_factory=set)
    in_use: bool = False

    def free_port(self, first: int, last: int, target: int, but: Collection[tuple[str, int]]) -> int | None:
        """The first free port from the range's start plus the container's port on: 20080 for 80. but: none of these."""
        size = last - first + 1
        for i in range(size):
            port = ("tcp", first + (target + i) % size)
            if port not in self.taken and port not in but:
                return port[1]
        return None

    def add(self, demand: Demand) -> None:
        """A replica more."""
        self.used_cpus = plus(self.used_cpus, demand.cpus)
        self.used_memory = plus(self.used_memory, demand.memory)

    def copy(self) -> Berth:
        """As it is now: to be put back after a trial."""
        return replace(self, taken=set(self.taken))

    def without(self, replica: Replica, demand: Demand) -> Berth:
        """As it is once that one is gone."""
        left = self.taken - replica.held_ports
        cpus, memory = minus(self.used_cpus, demand.cpus), minus(self.used_memory, demand.memory)
        return replace(self, used_cpus=cpus, used_memory=memory, taken=left)

    def holds(self, port: Port) -> bool:
        """Whether a port that must be that very one is taken."""
        return (port.protocol, port.published) in self.taken


class Board:
    """All hosts that answered, and the service's replicas on each: a value while nobody else holds it."""

    def __init__(self, goal: Goal, facts: Facts, run: Memory) -> None:
        there, everywhere = (h for h in facts.reachable() if h.name in goal.fleet.hosts), _everywhere(goal)
        self.berths = {h.name: _berth(goal, h, run, everywhere) for h in there}
        self.homes = homes_of(goal, facts, run, _outside(goal, facts))
        self.unfetched = _unfetched(goal, facts, run)
        self.kinds = {b.facts.engine.arch for b in self.berths.values()}
        self.has_unguarded = any(b.facts.unguarded for b in self.berths.values())
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._targets: dict[str, tuple[int, ...]] = {}
        self._fixed = frozenset(port for s in goal.app.services.values() for port in fixed_ports(s))
        self._fleet, self._app = goal.fleet, goal.app.name
        self._demands: dict[str, Demand] = {}
        by_address = {b.host.private_ip: b for b in self.berths.values()}
        for host in facts.reachable():
            for servers in host.gateway.pools.values() if host.gateway else ():
                for known in servers:
                    if berth := by_address.get(known.server.address):
                        berth.taken.add(("tcp", known.server.port))

    def take(self, berth: Berth, service: Service, ports: tuple[int, ...]) -> None:
        """Put a replica there."""
        self.homes.take(berth.host.name, service)
        berth.in_use |= not service.is_global
        berth.add(self.demand(service))
        berth.taken.update(("tcp", p) for p in ports)
        berth.taken |= fixed_ports(service)
        self.counts[service.name][berth.host.name] += 1

    def without(self, replicas: Iterable[Replica]) -> Board:
        """As it is once these are gone; of each slot of a service, one was counted."""
        board, counted = copy(self), set[tuple[str, int]]()
        board.berths, board.counts = dict(self.berths), defaultdict(Counter, self.counts)
        for r in (r for r in replicas if r.host in self.berths):
            if not r.ended:
                demand = demand_of(self._fleet, r.app, r.service, r.cpus, r.memory)
                board.berths[r.host] = board.berths[r.host].without(r, demand)
            if (r.service, r.slot) not in counted:
                counted.add((r.service, r.slot))
                board.counts[r.service] = board.counts[r.service] - Counter([r.host])
        return board

    def demand(self, service: Service) -> Demand:
        """Of one of its replicas; the service may be another app's: `app/service`."""
        if service.name not in self._demands:
            app, _, name = service.name.rpartition("/")
            asked = service.resources
            found = demand_of(self._fleet, app or self._app, name, asked.reserved_cpus, asked.reserved_memory)
            self._demands[service.name] = found
        return self._demands[service.name]

    def ports_for(self, berth: Berth, service: Service, port_range: tuple[int, int]) -> tuple[int, ...] | None:
        """Host ports for those of the service that may be any; None if the range is full. Those that a service of the
        app is to have as they are come last, and never its own.
        """
        if service.name not in self._targets:
            self._targets[service.name] = free_targets(service)
        found: list[int] = []
        for target in self._targets[service.name]:
            port = berth.free_port(*port_range, target, self._fixed)
            port = port or berth.free_port(*port_range, target, fixed_ports(service))
            if port is None:
                return None
            berth.taken.add(("tcp", port))
            found.append(port)
        berth.taken.difference_update(("tcp", p) for p in found)
        return tuple(found)


def _unfetched(goal: Goal, facts: Facts, run: Memory) -> Mapping[tuple[str, str], str]:
    """Why a host cannot have one of the app's images, or the gateway's, without which it starts none of them.

    Of images that some host has: what no host has may be nowhere, and then no host is better than another.
    """
    found: dict[tuple[str, str], str] = {}
    for (host, image), why in run.unfetched.items():
        if any(image in other.images for other in facts.reachable()):
            found[host, image] = why
            if image == goal.fleet.gateway_image and not (host in facts.hosts and facts.hosts[host].is_guarded):
                found |= {(host, service.image): why for service in goal.app.services.values()}
    return found


def _outside(goal: Goal, facts: Facts) -> Mapping[str, str]:
    """By service with volumes, a host that fleet.yaml has no more, where one of it takes traffic."""
    prefixes = {f"{goal.app.name}.{s.name}": s.name for s in goal.app.services.values() if any(pinned(goal.app, s))}
    found: dict[str, str] = {}
    for server, there in facts.endpoints.items() if prefixes else ():
        told = slot_and_host(server)
        if told and told[1] not in goal.fleet.hosts:
            pools = [e.pool.rpartition(".")[0] for e in there if e.facts.takes_traffic]
            found |= {prefixes[pool]: told[1] for pool in pools if pool in prefixes}
    return found


def _everywhere(goal: Goal) -> frozenset[str]:
    """Services of the app that each host has one of."""
    return frozenset(s.name for s in goal.app.services.values() if s.is_global)


def _berth(goal: Goal, facts: HostFacts, run: Memory, everywhere: frozenset[str]) -> Berth:
    engine, keep = facts.engine, 1 - goal.fleet.headroom
    berth = Berth(goal.fleet.hosts[facts.name], facts, engine.cpus * keep, engine.memory * keep)
    for replica in (r for r in engine.replicas if not r.ended):
        berth.in_use |= not (replica.app == goal.app.name and replica.service in everywhere)
        berth.add(demand_of(goal.fleet, replica.app, replica.service, replica.cpus, replica.memory))
        berth.taken |= replica.held_ports
    for container in engine.system:
        berth.taken.update((b.protocol, b.port) for b in container.ports)
    berth.taken |= engine.taken
    berth.taken |= _listened(goal, facts)
    berth.taken.update(("tcp", port) for host, port in run.taken if host == facts.name)
    return berth


def _listened(goal: Goal, facts: HostFacts) -> set[tuple[str, int]]:
    """Ports of the range that the host's gateway listens on for clients, or is to: an endpoint there would bar it."""
    if facts.name not in goal.fleet.balancer.hosts:
        return set()
    others = facts.gateway.table.listeners if facts.gateway else ()
    wanted = (p for s in goal.app.services.values() for p in s.ports if p.mode == "ingress")
    return {("tcp", p.published) for p in wanted} | {("tcp", one.port) for one in others if not one.is_inner}
