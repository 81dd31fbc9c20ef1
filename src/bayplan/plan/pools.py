"""A replica's way into the pools and out of them, a step a pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bayplan.facts import Endpoint, Facts, HostFacts, Replica, ServerFacts
from bayplan.plan.everywhere import wants_none
from bayplan.plan.fronts import lends
from bayplan.plan.goal import Goal
from bayplan.plan.leads import leads, led_at
from bayplan.plan.replica import endpoint, pool_name, server_name, service_of, slot_and_host
from bayplan.plan.standing import BEING, endpoints, silent_gateway
from bayplan.plan.steps import PoolChange, Remove, Step, Waiting
from bayplan.routing import Server
from bayplan.spec.model import Service

NOT_LED_TO: Final = "no listener there leads to it any more"
NO_HOST: Final = "its host is not of this fleet"


def join(goal: Goal, service: Service, replica: Replica, facts: Facts) -> Iterator[PoolChange]:
    """Into every pool of its service at every gateway: checked first, then, once it is up, ready."""
    seen = {(e.gateway, e.pool): e.facts for e in endpoints(replica, facts)}
    led = tuple(leads(goal.fleet, service))
    servers = {t: endpoint(replica, t, goal.fleet.hosts[replica.host]) for t in {target for _, target in led}}
    for name, target in led:
        gateway = facts.hosts[name].gateway if name in facts.hosts else None
        server, pool = servers[target], pool_name(goal.app.name, service.name, target)
        if server and gateway and pool in gateway.pools:
            yield from _towards_ready(name, pool, server, seen.get((name, pool)))


def _towards_ready(gateway: str, pool: str, server: Server, known: ServerFacts | None) -> Iterator[PoolChange]:
    if known is None or (known.server == server and known.state == "maint"):  # where it is not checked
        yield PoolChange(gateway, "join", pool, server, "runs and is healthy")
    elif known.server != server:
        yield PoolChange(gateway, "leave", pool, known.server, f"its endpoint is {server.address}:{server.port} now")
    elif known.state != "ready" and known.up:
        yield PoolChange(gateway, "ready", pool, server, f"answers the gateway's probe ({known.check})")


def retire(
    goal: Goal, replica: Replica, service: Service | None, facts: Facts, why: str, waiting: list[Waiting]
) -> list[Step]:
    """The next step of a replica's way out: drain, leave, remove; or none, and it is noted what it waits for."""
    silent = _may_hold(goal, replica, facts)
    if silent:
        waiting.append(Waiting(silent, replica.service, replica.name, _why_silent(facts.hosts[silent], replica)))
        return []
    seen = endpoints(replica, facts)
    if not seen:
        grace = service.stop_grace_period if service else None  # gone from the file: it keeps what it was started with
        return [Remove(replica.host, replica.service, replica.name, grace, why)]
    limit = service.drain if service else replica.drain
    return list(way_out(replica, seen, limit, why, waiting))


def displace(
    goal: Goal, service: Service, displaced: Iterable[Replica], facts: Facts, waiting: list[Waiting]
) -> list[Step]:
    """The next step of each that has a volume which the service is to have; a job that the app still has ends first."""
    steps: list[Step] = []
    why = f"makes room for {service.name}, which has its volume in release {goal.release}"
    for replica in displaced:
        if replica.state in BEING:
            waiting.append(Waiting(replica.host, service.name, replica.name, f"is being {BEING[replica.state]}"))
        elif replica.job and replica.service in goal.app.services:
            todo = f"bayplan stop {replica.service} ends it"
            told = f"has the volume of {service.name} and has not ended yet; {todo}"
            waiting.append(Waiting(replica.host, service.name, replica.name, told, open_end=True))
        else:
            steps += retire(goal, replica, None, facts, why, waiting)
    return steps


def way_out(
    replica: Replica, of: Iterable[Endpoint], limit: float, why: str, waiting: list[Waiting]
) -> Iterator[PoolChange]:
    """Out of those pools: drain, leave. limit: seconds that open sessions get."""
    for known in of:
        step = _way_out(replica, known, limit, why)
        if isinstance(step, Waiting):
            waiting.append(step)
        else:
            yield step


def _way_out(replica: Replica, known: Endpoint, limit: float, why: str) -> PoolChange | Waiting:
    """Out of one pool."""
    at, server = known.facts, known.facts.server
    if not replica.alive or at.state == "maint":
        return PoolChange(known.gateway, "leave", known.pool, server, why)
    if at.state == "ready":
        return PoolChange(known.gateway, "drain", known.pool, server, why)
    if at.sessions == 0 or at.since >= limit:
        return PoolChange(known.gateway, "leave", known.pool, server, "drained")
    doing = f"finishes {at.sessions} sessions on {known.gateway}"
    return Waiting(replica.host, replica.service, replica.name, doing)


def _may_hold(goal: Goal, replica: Replica, facts: Facts) -> str | None:
    """A balancer that may send it requests and does not say; one that was judged down sends none."""
    asked = (b for b in goal.fleet.balancer.hosts if b not in goal.assume_down)
    return silent_gateway(asked, facts) if replica.ports else None


def _why_silent(balancer: HostFacts, replica: Replica) -> str:
    if balancer.reachable:
        return "its gateway does not answer"
    return f"does not answer, and its gateway may still send requests to {replica.name}"


def sweep(goal: Goal, facts: Facts, waiting: list[Waiting]) -> Iterator[PoolChange]:
    """Servers of the app that nothing stands behind, and those of gateways that are no balancer any more: these once
    what came through its listeners has ended, or for as long as the service says. waiting: told what that waits for.

    One on a host that does not answer stays: it may well serve. So does, while it answers and nobody else does, one on
    a host that fleet.yaml has no more, or under another name; and one whose endpoint a later replica of the service has
    by now, as at a gateway that was off meanwhile.
    """
    standing = {server_name(r.name, r.host): r for r in facts.replicas(goal.app.name)}
    held = frozenset(_held(goal.app.name, facts))
    for host in facts.reachable():
        pools = host.gateway.pools if host.gateway else {}
        routed = host.gateway.table.routed if host.gateway else frozenset()
        for pool in (p for p in pools if p.startswith(f"{goal.app.name}.")):
            is_left = pool not in routed and not _is_to_be_led_to(pool, host.name, goal)
            gone = {s: why for s in pools[pool] if s.server.name not in standing and (why := _why_gone(s, goal, facts))}
            alone = not any(s not in gone and s.has_passed for s in pools[pool])
            is_missed = alone and pool in routed and _is_wanted(pool, goal, facts)
            for known in pools[pool]:
                why = gone.get(known)
                answers = why == NO_HOST or (pool, known.server.address, known.server.port) in held
                if is_left and (replica := standing.get(known.server.name)):
                    at = Endpoint(host.name, pool, known)
                    yield from way_out(replica, (at,), _drain(goal, replica), NOT_LED_TO, waiting)
                elif is_left or (why and not (is_missed and answers and known.takes_traffic)):
                    yield PoolChange(host.name, "leave", pool, known.server, why or NOT_LED_TO)


def _is_to_be_led_to(pool: str, host: str, goal: Goal) -> bool:
    """Whether that host's gateway leads there by the release, if it does not yet; a balancer may at any time."""
    service = goal.app.services.get(service_of(pool, goal.app.name))
    ports = led_at(goal.fleet, service, host) if service else ()
    return host in goal.fleet.balancer.hosts or int(pool.rpartition(".")[2]) in ports


def _drain(goal: Goal, replica: Replica) -> float:
    """Seconds that its open sessions get."""
    service = goal.app.services.get(replica.service)
    return service.drain if service else replica.drain


def _held(app: str, facts: Facts) -> Iterator[tuple[str, str, int]]:
    """Pool, address and port of all that runs of the app, under whatever name a gateway has it."""
    for replica in (r for r in facts.replicas(app) if r.state == "running"):
        yield from ((pool_name(app, replica.service, b.target), b.address, b.port) for b in replica.ports)


def _is_wanted(pool: str, goal: Goal, facts: Facts) -> bool:
    """Whether there is to be anybody in it, if only until another service has what a listener leads to it for."""
    service = goal.app.services.get(service_of(pool, goal.app.name))
    if service is None or service.is_job:
        return True
    return not wants_none(goal, service, facts) or lends(goal, service, facts)


def _why_gone(known: ServerFacts, goal: Goal, facts: Facts) -> str | None:
    told = slot_and_host(known.server.name)
    host = facts.hosts.get(told[1]) if told else None
    if host is None:
        return NO_HOST
    if host.reachable:
        return "its replica is gone"
    return f"{host.name} was judged down" if host.name in goal.assume_down else None
