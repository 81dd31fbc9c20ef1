"""How one replica stands: read from its state and its pools, never remembered.

```
          its container                      its endpoint in the gateways' pools
creating  is being made                      none
starting  runs, own health check not passed  none, or checked and not up yet
ready     runs, healthy                      takes traffic in every pool (a service without listeners: none needed)
draining  runs                               finishes what it has
failed    exited, dead, restarting,          any
          unhealthy, or not ready in time
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bayplan.facts import Facts, Replica, ServerFacts
from bayplan.plan.goal import Run
from bayplan.plan.replica import ingress_targets, pool_name, server_name
from bayplan.spec.model import Service

START_DEADLINE = 60.0  # seconds to be ready, for a service whose health check does not say
GRACE = 10.0  # seconds on top of what a health check says, for the engine to run it
SETTLE = 1.0  # seconds that a replica nobody asks must run before it counts
LOOP_DEADLINE = 15.0  # seconds that a replica which was there before may be seen restarting


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One replica's server in one pool of one gateway."""

    gateway: str
    pool: str
    facts: ServerFacts


def endpoints(replica: Replica, facts: Facts) -> tuple[Endpoint, ...]:
    """Every pool of every gateway that answered which has the replica."""
    name = server_name(replica.name, replica.host)
    return tuple(e for e in all_endpoints(facts) if e.facts.server.name == name)


def all_endpoints(facts: Facts) -> Iterator[Endpoint]:
    """Every server of every pool of every gateway that answered."""
    for host in facts.reachable():
        for pool, servers in host.gateway.pools.items() if host.gateway else ():
            yield from (Endpoint(host.name, pool, s) for s in servers)


def is_serving(
    replica: Replica, service: Service, balancers: tuple[str, ...], facts: Facts, run: Run, now: float
) -> bool:
    """Whether it does its work: takes traffic wherever its service has a listener, or simply runs and stays."""
    if not replica.alive:
        return False
    pools = [pool_name(replica.app, service.name, t) for t in ingress_targets(service)]
    if not pools:
        return service.healthcheck is not None or has_settled(replica, run, now)
    name = server_name(replica.name, replica.host)
    return all(
        host.gateway is not None and _takes_traffic(host.gateway.pools.get(pool, ()), name)
        for host in facts.reachable()
        if host.name in balancers
        for pool in pools
    )


def silent_gateway(balancers: tuple[str, ...], facts: Facts) -> str | None:
    """A balancer that answers and whose gateway does not: what its pools hold is unknown."""
    return next((h.name for h in facts.reachable() if h.name in balancers and h.gateway is None), None)


def _takes_traffic(servers: tuple[ServerFacts, ...], name: str) -> bool:
    return any(s.server.name == name and s.state == "ready" and s.up is not False for s in servers)


def has_settled(replica: Replica, run: Run, now: float) -> bool:
    """Whether a replica of this run has stayed up for a moment; one that was there before has."""
    return replica.id not in run.tried or now - run.first_seen.get(replica.id, now) >= SETTLE


def ready_deadline(service: Service) -> float:
    """Seconds within which a new replica must be ready."""
    check = service.healthcheck
    if check is None or not check.test or check.test == ("NONE",):
        return START_DEADLINE
    return check.start_period + check.retries * (check.interval + check.timeout) + GRACE


def why_failed(replica: Replica, service: Service, run: Run, now: float) -> str | None:
    """Why a replica will not become ready by waiting; None while it may."""
    tried, age = replica.id in run.tried, now - run.first_seen.get(replica.id, now)
    if replica.state in ("exited", "dead") and tried:
        return f"exited with status {replica.exit_code} right after its start"
    if replica.state == "restarting" and (tried or age >= LOOP_DEADLINE):
        return f"exits and is restarted again and again, last with status {replica.exit_code}"
    if replica.state in ("running", "paused") and age >= ready_deadline(service):
        return _late(replica, ready_deadline(service))
    return None


def _late(replica: Replica, deadline: float) -> str:
    if replica.health in ("starting", "unhealthy"):
        return f"its health check has not passed within {deadline:g} s (it is {replica.health})"
    return f"the gateway's probe has not passed within {deadline:g} s: nothing answers on its port"
