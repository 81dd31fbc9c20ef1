"""How an app stands on its fleet: what `ps` shows. The shapes are those of DESIGN.md, "Machine-readable shapes"."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from bayplan.converge.observe import answered, observe
from bayplan.errors import RegistryError
from bayplan.facts import Facts, HostFacts, Replica
from bayplan.operate.ask import replicas_of
from bayplan.operate.inferred import inferred
from bayplan.operate.release import Chosen, current, is_new_fleet, unreleased
from bayplan.plan.everywhere import wanted_slots
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.replica import targets
from bayplan.plan.slots import left_over
from bayplan.plan.standing import is_serving, word_for
from bayplan.plan.steps import Plan
from bayplan.ports import FleetPorts
from bayplan.spec.model import Fleet, Service

InstanceState = Literal["starting", "ready", "draining", "standby", "failed", "unknown", "stopped"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One replica. endpoint: "10.77.0.11:20080", "" for one that no listener leads to.

    job: how far a job is; its state is starting, ready or failed, since others wait for that. "" for a service's.
    """

    name: str
    host: str
    state: InstanceState
    endpoint: str
    release: int
    image: str
    job: Literal["", "running", "done", "failed"] = ""


@dataclass(frozen=True, slots=True)
class ListenerView:
    """Where clients reach the service."""

    address: str
    port: int
    target_port: int


@dataclass(frozen=True, slots=True)
class Replicas:
    """Counts."""

    desired: int
    ready: int
    standby: int = 0


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service."""

    service: str
    replicas: Replicas
    listeners: tuple[ListenerView, ...]
    instances: tuple[Instance, ...]
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class RunView:
    """A container that `run` made. service "": of an image alone."""

    name: str
    host: str
    service: str
    state: str
    image: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """Cores and bytes."""

    cpus: float
    memory: int


@dataclass(frozen=True, slots=True)
class HostView:
    """One host."""

    host: str
    state: Literal["ready", "draining", "unreachable", "down"]
    cpus: float
    memory: int
    reserved: Reserved


@dataclass(frozen=True, slots=True)
class Status:
    """The whole; `ps --json` is this. left_over: of services that the release does not have, which the next `up`
    removes, or, of an app that was taken down, the next `down`.
    """

    fleet: str
    app: str
    release: int
    services: tuple[ServiceView, ...]
    hosts: tuple[HostView, ...]
    runs: tuple[RunView, ...] = ()
    left_over: tuple[Instance, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """The status and what it was read from. unread: why the releases could not be read; "" if they were."""

    status: Status
    facts: Facts
    goal: Goal
    plan: Plan
    unread: str = ""


async def standing(ports: FleetPorts, app: str, *, every: bool = False) -> Standing:
    """One look at everything. every: what was stopped, and what `run` runs, too.

    Raises NoHostError when nobody answers.
    """
    seen, chosen = await asyncio.gather(observe(ports), _chosen(ports, app))
    facts = answered(ports.fleet, seen)
    unread = ""
    if isinstance(chosen, RegistryError):
        unread = "" if is_new_fleet(ports.fleet, facts) else chosen.what
        chosen = inferred(facts, app)
    chosen = chosen or unreleased(app)
    only = frozenset(chosen.app.services) - chosen.stopped if chosen.stopped else None
    goal = Goal(ports.fleet, chosen.app, chosen.number, chosen.before, only=only)
    now = Plan() if unread else plan(goal, facts, ports.clock.now(), Memory())
    services = tuple(
        _stopped(goal, s, facts, every=every) if s.name in chosen.stopped else _service(goal, s, facts, now)
        for s in goal.app.services.values()
    )
    hosts = tuple(_host(h) for h in facts.hosts.values())
    runs = tuple(RunView(o.name, o.host, o.service, o.state, o.image) for o in facts.oneoffs(app)) if every else ()
    gone = (r for r in left_over(goal, facts) if r.service not in goal.app.services)
    left = tuple(_instance(goal, Service(name=r.service), r, facts) for r in gone)
    return Standing(Status(ports.fleet.name, app, chosen.number, services, hosts, runs, left), facts, goal, now, unread)


async def _chosen(ports: FleetPorts, app: str) -> Chosen | RegistryError | None:
    try:
        return await current(ports.releases, app)
    except RegistryError as error:
        return error


def _service(goal: Goal, service: Service, facts: Facts, now: Plan) -> ServiceView:
    replicas = replicas_of(facts, goal.app.name, [service.name])
    seen = tuple(_instance(goal, service, r, facts) for r in replicas)
    unknown = tuple(
        Instance(f"{goal.app.name}-{service.name}-{p.slot}", " or ".join(p.hosts), "unknown", "", 0, service.image)
        for p in now.presumed
        if p.service == service.name
    )
    by = "host" if service.is_global else "slot"
    ready = len({getattr(r, by) for r, i in zip(replicas, seen, strict=True) if i.state == "ready"})
    counts = Replicas(len(wanted_slots(goal, service, facts)), ready)
    return ServiceView(service.name, counts, _listeners(goal.fleet, service), seen + unknown)


def _stopped(goal: Goal, service: Service, facts: Facts, *, every: bool) -> ServiceView:
    """A service that is not to run: nothing is wanted of it. Its containers are told of if they are asked for."""
    seen = (_instance(goal, service, r, facts) for r in replicas_of(facts, goal.app.name, [service.name]))
    told = tuple(replace(i, state="stopped" if i.state == "failed" else i.state) for i in seen)
    shown = tuple(i for i in told if every or i.state != "stopped")
    return ServiceView(service.name, Replicas(0, 0), _listeners(goal.fleet, service), shown, stopped=True)


def _listeners(fleet: Fleet, service: Service) -> tuple[ListenerView, ...]:
    return tuple(
        ListenerView(p.address or fleet.balancer.address, p.published, p.target)
        for p in service.ports
        if p.mode == "ingress"
    )


def _instance(goal: Goal, service: Service, replica: Replica, facts: Facts) -> Instance:
    led = targets(service)
    at = next((f"{b.address}:{b.port}" for b in replica.ports if b.target in led), "")
    state = _state(goal, service, replica, facts)
    job: Literal["", "running", "done", "failed"] = ""
    if replica.job:
        job = "done" if replica.done else "failed" if state == "failed" else "running"
    return Instance(replica.name, replica.host, state, at, replica.release, replica.image, job)


def _state(goal: Goal, service: Service, replica: Replica, facts: Facts) -> InstanceState:
    """Read from the container's state and the pools, as plan/standing.py has it."""
    if word := word_for(replica, facts):
        return word
    serving = is_serving(replica, service, goal.fleet, facts, Memory(), 0.0)
    return "ready" if serving else "starting"


def _host(facts: HostFacts) -> HostView:
    engine = facts.engine
    holding = [r for r in engine.replicas if not r.ended]
    reserved = Reserved(sum(r.cpus for r in holding), sum(r.memory for r in holding))
    return HostView(facts.name, "ready" if facts.reachable else "unreachable", engine.cpus, engine.memory, reserved)
