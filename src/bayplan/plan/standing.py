"""How one replica stands: read from its state and its pools, never remembered.

```
          its container                      its endpoint in the gateways' pools
creating  is being made                      none
starting  runs, own health check not passed  none, or checked and not up yet
ready     runs, healthy                      takes traffic in every pool (a service without listeners: none needed)
          a job: exited with 0               none
draining  runs                               finishes what it has
failed    exited, dead, restarting,          any
          unhealthy, or not ready in time
standby   is paused                          any
```
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from bayplan.facts import Endpoint, Facts, HostFacts, Replica
from bayplan.plan.goal import Memory
from bayplan.plan.health import check_of
from bayplan.plan.leads import leads
from bayplan.plan.replica import asked_targets, ingress_targets, pool_name, server_name
from bayplan.spec.model import Fleet, Service
from bayplan.units import show_bytes

START_DEADLINE = 60.0  # seconds to be ready, for a service whose health check does not say
GRACE = 10.0  # seconds on top of what a health check says, for the engine to run it
BEING = {"removing": "stopped", "creating": "made"}  # what is being done to a replica in such a state
SETTLE = 1.0  # seconds that a replica nobody asks must run before it counts
# Seconds after which a replica counts that answers on no port that its image, and nothing else, names: of one image,
# there may be a server and a worker. So for one that answers on some of the ports that `expose` names: it is a note.
QUIET = 10.0
LOOP_DEADLINE = 15.0  # seconds for which a replica may exit and be restarted: what it needs may start a moment later
_KILLED = 137  # 128 and SIGKILL: so engines tell it


def endpoints(replica: Replica, facts: Facts) -> tuple[Endpoint, ...]:
    """Every pool of every gateway that answered which has the replica."""
    return facts.endpoints.get(server_name(replica.name, replica.host), ())


def word_for(replica: Replica, facts: Facts) -> Literal["ready", "standby", "failed", "draining"] | None:
    """What its container and its pools alone tell, as in the table; None: it runs, and is ready or is starting."""
    if replica.done:
        return "ready"
    if replica.state == "paused":
        return "standby"
    if replica.state in ("exited", "dead", "restarting") or replica.health == "unhealthy":
        return "failed"
    if replica.state == "removing" or any(e.facts.state == "drain" and e.facts.up for e in endpoints(replica, facts)):
        return "draining"
    return None


def is_serving(replica: Replica, service: Service, fleet: Fleet, facts: Facts, run: Memory, now: float) -> bool:
    """Whether it does its work: takes traffic wherever a gateway leads to its service, or simply runs and stays.

    Balancers that do not answer are not asked: what they may still send here keeps others from going (`pools.retire`).
    """
    if service.is_job:
        return replica.done
    if not replica.alive:
        return False
    surely = asked_targets(service)
    led = [(host, target) for host, target in leads(fleet, service) if target in surely or not surely]
    if not led:
        return service.healthcheck is not None or has_settled(replica, run, now)
    taking = {(e.gateway, e.pool) for e in endpoints(replica, facts) if e.facts.takes_traffic}
    if surely:
        pools = {target: pool_name(replica.app, service.name, target) for target in surely}
        silent = {t for h, t in led if (h, pools[t]) not in taking and _answers(facts.hosts.get(h), fleet)}
        is_enough = silent < surely and silent.isdisjoint(ingress_targets(service))
        return not silent or (is_enough and has_settled(replica, run, now, QUIET))
    at = {gateway for gateway, _ in taking}
    heard = all(h in at or not _answers(facts.hosts.get(h), fleet) for h, _ in led)
    return heard or has_settled(replica, run, now, QUIET)


def is_unheard(replica: Replica, service: Service, fleet: Fleet, facts: Facts) -> bool:
    """Whether it runs, and all that is missing is word of it from gateways that do not answer."""
    taking = {(e.gateway, e.pool) for e in endpoints(replica, facts) if e.facts.takes_traffic}
    asked = ((host, t) for host, t in leads(fleet, service) if _answers(facts.hosts.get(host), fleet))
    lacking = [host for host, t in asked if (host, pool_name(replica.app, service.name, t)) not in taking]
    return replica.alive and bool(lacking) and all(facts.hosts[host].gateway is None for host in lacking)


def _answers(host: HostFacts | None, fleet: Fleet) -> bool:
    """Whether a gateway is asked: a balancer's also when only its host answers, since clients come through it."""
    if host is None or not host.reachable:
        return False
    return host.gateway is not None or host.name in fleet.balancer.hosts


def serves_alone(replica: Replica, facts: Facts) -> bool:
    """Whether a listener for clients, at any balancer that answers, leads to nobody that answers but it."""
    routed = [e for e in endpoints(replica, facts) if e.facts.has_passed and e.pool in facts.routed[e.gateway]]
    return any(not _answer_beside(e, facts) for e in routed)


def _answer_beside(one: Endpoint, facts: Facts) -> bool:
    gateway = facts.hosts[one.gateway].gateway
    there = gateway.pools.get(one.pool, ()) if gateway else ()
    return any(s.has_passed and s.server.name != one.facts.server.name for s in there)


def is_led_to(app: str, service: Service, balancers: Iterable[str], facts: Facts) -> bool:
    """Whether the listeners of every balancer that answers lead to the pools of this very definition."""
    pools = {pool_name(app, service.name, target) for target in ingress_targets(service)}
    return all(pools <= facts.routed[name] for name in balancers if name in facts.routed)


def is_lent(app: str, service: Service, balancers: Iterable[str], facts: Facts) -> bool:
    """Whether a listener still leads to a pool that the service had: another one that is to have the port is not up."""
    pools = {pool_name(app, service.name, target) for target in ingress_targets(service)}
    return any(facts.routed_of.get((name, f"{app}.{service.name}"), pools) - pools for name in balancers)


def silent_gateway(balancers: Iterable[str], facts: Facts) -> str | None:
    """A balancer whose gateway does not answer: what its pools hold is unknown."""
    return next((name for name in balancers if name in facts.hosts and facts.hosts[name].gateway is None), None)


def has_settled(replica: Replica, run: Memory, now: float, seconds: float = SETTLE) -> bool:
    """Whether a replica of this run has stayed up for so long; one that was there before has. One that exits and is
    restarted again and again runs for a moment each time.
    """
    return not replica.young and (replica.id not in run.tried or now - run.first_seen.get(replica.id, now) >= seconds)


def ready_deadline(service: Service) -> float:
    """Seconds within which a new replica must be ready."""
    check = check_of(service)
    if not check.asks:
        return START_DEADLINE
    return check.start_period + check.retries * (check.interval + check.timeout) + GRACE


def unhealthy_deadline(service: Service) -> float:
    """Seconds after which a new replica whose engine has found it unhealthy is given up: `retries` have failed, and
    none of them has to be waited for until its timeout.
    """
    check = check_of(service)
    return min(ready_deadline(service), check.start_period + check.retries * check.interval + GRACE)


def why_failed(replica: Replica, service: Service, run: Memory, now: float) -> str | None:
    """Why a replica will not become ready by waiting; None while it may.

    One that was, and runs, has its time again: a gateway that does not answer for a moment is no failure of it.
    """
    tried, age = replica.id in run.tried, now - run.first_seen.get(replica.id, now)
    monitor = service.update.monitor
    if now - run.served.get(replica.id, -math.inf) < monitor and not replica.alive and replica.state != "paused":
        how = replica.health if replica.state == "running" else replica.state
        return f"was ready, and is {how} within {monitor:g} s of it"
    if replica.state in ("exited", "dead") and tried:
        return f"exited with {exit_status(replica, service)} right after its start{_if_a_job(replica)}"
    if replica.state == "restarting" and age >= LOOP_DEADLINE:
        return f"exits and is restarted again and again, last with {exit_status(replica, service)}{_if_a_job(replica)}"
    is_ill = replica.health == "unhealthy"
    deadline = unhealthy_deadline(service) if is_ill else ready_deadline(service)
    left_off = -math.inf if is_ill else run.serving.get(replica.id, -math.inf)
    if replica.state in ("running", "paused") and min(age, now - left_off) >= deadline:
        return _late(replica, service, deadline)
    return None


def exit_status(replica: Replica, service: Service) -> str:
    """With what a log does not tell: who is killed for the memory that it takes says nothing any more."""
    if replica.exit_code != _KILLED:
        return f"status {replica.exit_code}"
    most = service.resources.limit_memory
    room = f"its limit of {show_bytes(most)}" if most else "its host has free"
    return f"status {_KILLED} (it was killed: as a rule, for more memory than {room})"


def _if_a_job(replica: Replica) -> str:
    return "; what ends when it is done is a job (deploy: {mode: replicated-job})" if replica.exit_code == 0 else ""


def _late(replica: Replica, service: Service, deadline: float) -> str:
    if replica.health in ("starting", "unhealthy"):
        return f"its health check has not passed within {deadline:g} s (it is {replica.health})"
    return f"the gateway's probe has not passed within {deadline:g} s: {_unanswered(replica, service)}"


def _unanswered(replica: Replica, service: Service) -> str:
    """What is asked, so that a wrong port or path is seen."""
    asked = sorted(ingress_targets(service) or asked_targets(service) or {b.target for b in replica.ports})
    how = f"GET {service.probe.path}" if service.probe.kind == "http" else ""
    if len(asked) > 1:
        return f"its ports {', '.join(map(str, asked))} do not all answer{f' ({how})' if how else ''}"
    where = f"port {asked[0]}" if asked else "its port"
    return f"{how} on {where} is not answered with 2xx or 3xx" if how else f"nothing answers on {where}"
