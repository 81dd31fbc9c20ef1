"""A listener that is to lead to another port of its service: who serves behind it is in the new pool first.

A pool is a set of endpoints, and a gateway does not care which port of a container is behind one. So each replica of
before is a *guest* in the new pool of a balancer, with the endpoint at which it serves behind the listener now: the
listener moves with all of them behind it, and the rollout goes its way as where no port changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from bayplan.facts import Endpoint, Facts, GatewayFacts, Replica
from bayplan.plan.fronts import behind
from bayplan.plan.goal import Goal
from bayplan.plan.replica import ingress_targets, pool_name, server_name
from bayplan.plan.standing import endpoints
from bayplan.plan.steps import PoolChange
from bayplan.routing import Pool, Server
from bayplan.spec.model import Service


def origins(goal: Goal, services: Iterable[Service], gateway: GatewayFacts) -> Mapping[str, Pool]:
    """By the name of a pool of the release, the one of before to which its listeners lead until they move.

    None where they come from several, since a server has one endpoint in a pool, nor where they are to speak HTTP and
    nobody knows whether those of before do: neither are they led to so, nor asked so.
    """
    pools = {p.name: p for p in gateway.table.pools}
    fronts = {(f.address, f.port): f for f in gateway.table.listeners}
    found: dict[str, set[str]] = defaultdict(set)
    for service, port in ((s, p) for s in services for p in s.ports if p.mode == "ingress"):
        front = fronts.get((port.address, port.published))
        for pool in (pools[r.pool] for r in front.routes if r.pool in pools) if front else ():
            if (pool.app, pool.service) == (goal.app.name, service.name):
                fits = port.app_protocol == "tcp" or pool.mode == "http" or pool.check.startswith("http ")
                found[pool_name(goal.app.name, service.name, port.target)].add(pool.name if fits else "")
    single = {name: of.pop() for name, of in found.items() if len(of) == 1}
    return {name: pools[of] for name, of in single.items() if of and of != name}


def guests(goal: Goal, service: Service, facts: Facts, gateway: GatewayFacts) -> Mapping[str, frozenset[Server]]:
    """By pool of the release, who is to be a guest there. One whose container has the port itself, or that is there
    with another endpoint, is none.
    """
    before, found = origins(goal, (service,), gateway), dict[str, frozenset[Server]]()
    for target in ingress_targets(service) if before else ():
        pool = pool_name(goal.app.name, service.name, target)
        if pool in before:
            replicas = facts.replicas(goal.app.name, service.name)
            having = {server_name(r.name, r.host) for r in replicas if any(b.target == target for b in r.ports)}
            there = {s.server.name: s.server for s in gateway.pools.get(pool, ())}
            serving = (s.server for s in gateway.pools.get(before[pool].name, ()) if s.takes_traffic)
            found[pool] = frozenset(s for s in serving if s.name not in having and there.get(s.name, s) == s)
    return found


def invite(goal: Goal, service: Service, facts: Facts) -> Iterator[PoolChange]:
    """Guests into the new pools of the balancers. They serve, so they are not checked first."""
    for name in goal.fleet.balancer.hosts:
        gateway = facts.hosts[name].gateway if name in facts.hosts else None
        if gateway:
            for pool, servers in guests(goal, service, facts, gateway).items():
                yield from _in(name, pool, servers, gateway)


def _in(host: str, pool: str, servers: Iterable[Server], gateway: GatewayFacts) -> Iterator[PoolChange]:
    there = {s.server.name: s for s in gateway.pools.get(pool, ())}
    why = "serves behind a listener that is to lead here"
    for server in sorted(servers, key=lambda s: s.name) if pool in gateway.pools else ():
        known = there.get(server.name)
        if known is None or known.state == "maint":
            yield PoolChange(host, "join", pool, server, why)
        elif known.state == "drain":
            yield PoolChange(host, "ready", pool, server, why)


def may_lead(pool: str, gateway: GatewayFacts, invited: frozenset[Server]) -> bool:
    """Whether a listener may lead to the pool from now on: somebody of its own is there, and all guests are."""
    there = tuple(behind(pool, gateway))
    ready = {s.server for s in there if s.state == "ready"}
    return ready.issuperset(invited) and any(s.has_passed for s in there if s.server not in invited)


def visits(replica: Replica, facts: Facts) -> Iterator[Endpoint]:
    """Where it is a guest: its endpoints in pools of ports that its container does not have."""
    own = {str(b.target) for b in replica.ports}
    return (e for e in endpoints(replica, facts) if e.pool.rpartition(".")[2] not in own)
