"""A replica's way into the pools and out of them, a step a pass."""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.facts import Facts, HostFacts, Replica, Server
from bayplan.plan.goal import Goal
from bayplan.plan.replica import endpoint, ingress_targets, pool_name, server_name, slot_and_host
from bayplan.plan.standing import endpoints, silent_gateway
from bayplan.plan.steps import PoolChange, Remove, Step, Waiting
from bayplan.spec.model import Service


def join(goal: Goal, service: Service, replica: Replica, facts: Facts) -> Iterator[PoolChange]:
    """Into every pool of its service at every balancer: checked first, then, once it is up, ready."""
    for host in _balancers(goal, facts):
        for target in ingress_targets(service):
            server = endpoint(replica, target, goal.fleet.hosts[replica.host])
            pool = pool_name(goal.app.name, service.name, target)
            if server and host.gateway and pool in host.gateway.pools:
                yield from _towards_ready(host, pool, server)


def _balancers(goal: Goal, facts: Facts) -> Iterator[HostFacts]:
    return (h for h in facts.reachable() if h.name in goal.fleet.balancer.hosts and h.gateway)


def _towards_ready(host: HostFacts, pool: str, server: Server) -> Iterator[PoolChange]:
    servers = host.gateway.pools[pool] if host.gateway else ()
    known = next((s for s in servers if s.server.name == server.name), None)
    if known is None:
        yield PoolChange(host.name, "join", pool, server, "runs and is healthy")
    elif known.server != server:
        yield PoolChange(host.name, "leave", pool, known.server, f"its endpoint is {server.address}:{server.port} now")
    elif known.state != "ready" and known.up:
        yield PoolChange(host.name, "ready", pool, server, f"answers the gateway's probe ({known.check})")


def retire(
    goal: Goal, replica: Replica, service: Service | None, facts: Facts, why: str, waiting: list[Waiting]
) -> list[Step]:
    """The next step of a replica's way out: drain, leave, remove; or none, and it is noted what it waits for."""
    seen = endpoints(replica, facts)
    silent = silent_gateway(goal.fleet.balancer.hosts, facts) if replica.ports else None
    if silent:
        waiting.append(Waiting(silent, replica.service, replica.name, "its gateway does not answer"))
        return []
    limit, grace = (service.drain, service.stop_grace_period) if service else (30.0, 10.0)
    steps: list[Step] = []
    for e in seen:
        if not replica.alive or e.facts.state == "maint":
            steps.append(PoolChange(e.gateway, "leave", e.pool, e.facts.server, why))
        elif e.facts.state == "ready":
            steps.append(PoolChange(e.gateway, "drain", e.pool, e.facts.server, why))
        elif e.facts.sessions == 0 or e.facts.since >= limit:
            steps.append(PoolChange(e.gateway, "leave", e.pool, e.facts.server, "drained"))
        else:
            waiting.append(
                Waiting(
                    replica.host, replica.service, replica.name, f"finishes {e.facts.sessions} sessions on {e.gateway}"
                )
            )
    if not seen:
        steps.append(Remove(replica.host, replica.service, replica.name, grace, why))
    return steps


def sweep(goal: Goal, facts: Facts) -> Iterator[PoolChange]:
    """Servers of the app whose replica is gone. One on a host that does not answer stays: it may well serve."""
    standing = {server_name(r.name, r.host) for r in facts.replicas(goal.app.name)}
    for host in facts.reachable():
        for pool, servers in host.gateway.pools.items() if host.gateway else ():
            if not pool.startswith(f"{goal.app.name}."):
                continue
            for known in servers:
                if known.server.name not in standing and (why := _why_gone(known.server.name, goal, facts)):
                    yield PoolChange(host.name, "leave", pool, known.server, why)


def _why_gone(server: str, goal: Goal, facts: Facts) -> str | None:
    told = slot_and_host(server)
    host = facts.hosts.get(told[1]) if told else None
    if host is None:
        return "its host is not of this fleet"
    if host.reachable:
        return "its replica is gone"
    return f"{host.name} was judged down" if host.name in goal.assume_down else None
