"""The plan of one pass: from the goal and the facts to independent steps. Time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from bayplan.facts import Facts, Replica, SystemContainer
from bayplan.plan.board import Board
from bayplan.plan.calls import missed
from bayplan.plan.everywhere import seated, wants_none
from bayplan.plan.filters import fetched, reject
from bayplan.plan.fronts import lends
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.halt import halt
from bayplan.plan.job import Job
from bayplan.plan.names import system_name
from bayplan.plan.order import Order, in_order
from bayplan.plan.own_registry import registry_endpoint
from bayplan.plan.pools import retire, sweep
from bayplan.plan.replica import fixed_ports, release_of
from bayplan.plan.rollout import Rollout
from bayplan.plan.routes import configure, routed_services
from bayplan.plan.slots import STOPPED, displaced, left_over, predecessors
from bayplan.plan.standing import BEING, serves_alone
from bayplan.plan.steps import (
    Configure,
    Failure,
    Plan,
    PoolChange,
    Pull,
    Rejection,
    Rewrite,
    Step,
    Unplaced,
    Waiting,
    join,
)
from bayplan.plan.system import plan_system, without_handed_over
from bayplan.spec.model import Fleet, Service


def plan(goal: Goal, facts: Facts, now: float, run: Memory | None = None) -> Plan:
    """What to do now. now: seconds, on the clock of `run.first_seen`. Converged facts give an empty plan.

    A listener that another app holds stops the app before anything of it is changed; so does a replica of a later
    release, which another bayplan has begun meanwhile: of two at once, the later alone goes on.
    """
    if overtaken := _overtaken(goal, facts):
        return Plan(failures=overtaken)
    run, facts = run or Memory(), seated(goal, facts)
    hosts, called = _hosts(goal.fleet, facts), missed(goal, facts)
    services = tuple(_services(goal, facts, run, now, called))
    is_held = any(s.held for s in services)  # what is to take the place of what the release has no more may be
    unplaced = {u.service for s in services for u in s.unplaced}
    if _is_cramped(goal, facts, run, unplaced, tuple(_staying(goal, facts, called)) if unplaced else ()):
        services = tuple(_services(goal, facts, run, now, called, cramped=True))
    elif not is_held and _is_cramped(goal, facts, run, unplaced, left_over(goal, facts)):
        called &= goal.app.services.keys()
    fronts, conflicts = configure(goal, facts, called)
    if conflicts:
        return join((hosts, Plan(failures=conflicts)))
    first, late = _to_go_first(goal, facts, run, unplaced)
    first |= _may_yield(goal, facts, run, unplaced)
    stands_still = goal.only is not None or any(s.failures or s.unplaced for s in services)
    orphans = Plan() if is_held else _orphans(goal, facts, first, late, stands_still=stands_still)
    fetches = Plan(steps=tuple(step for step in late.values() if step))
    out = (_stopped(goal, facts), fetches, orphans, _swept(goal, facts))
    found = join((hosts, Plan(steps=fronts), *services, *out))
    steps = tuple(_one_at_a_time(without_handed_over(found.steps, facts)))
    return replace(found, steps=steps, unplaced=_with_who_stays(goal, facts, run, called, found.unplaced))


def _services(
    goal: Goal, facts: Facts, run: Memory, now: float, called: Collection[str], *, cramped: bool = False
) -> Iterator[Plan]:
    """Each service's own plan, after those of what it depends on; then what can be fetched for later.

    called: services whose old replicas stay for those that call them; cramped: one of each goes, to make room.
    """
    board, order = Board(goal, facts, run), Order(goal, facts, run, now)
    ways: list[Job | Rollout] = []
    for service in in_order(goal.app):
        if goal.touches(service.name):
            given = (goal, service, facts, run, now, board, order.held(service))
            is_called = service.name in called
            way = Job(*given) if service.is_job else Rollout(*given, called=is_called, cramped=cramped)
            made = way.plan()
            order.planned(service, made)
            ways.append(way)
            yield made
    for way in ways:
        if any(way.service.image not in h.images for h in facts.reachable()):
            yield way.ahead()


def _stopped(goal: Goal, facts: Facts) -> Plan:
    """What runs of a stopped service stops: its host was silent then, or whoever stopped it was killed. What makes room
    for another is in that one's plan.
    """
    elsewhere = _displaced_by_any(goal, facts) if goal.stopped else frozenset[str]()
    there = (r for r in facts.replicas(goal.app.name) if r.service in goal.stopped and r.id not in elsewhere)
    which = {(r.host, r.name) for r in there}
    return halt(goal, which, facts, "its service is stopped")


def _swept(goal: Goal, facts: Facts) -> Plan:
    waiting: list[Waiting] = []
    return Plan(steps=tuple(sweep(goal, facts, waiting)), waiting=tuple(waiting))


def _displaced_by_any(goal: Goal, facts: Facts) -> frozenset[str]:
    """Ids of those that make room for a service which is to have their volume: its own plan has them."""
    planned = (s for s in goal.app.services.values() if goal.touches(s.name))
    return frozenset(r.id for s in planned for r in displaced(goal, s, facts))


def _overtaken(goal: Goal, facts: Facts) -> tuple[Failure, ...]:
    """By its replicas, or by its endpoints: gateways are looked at more often than engines."""
    of_replicas = ((r.release, r.host) for r in facts.replicas(goal.app.name))
    known = (e for there in facts.endpoints.values() for e in there if e.pool.startswith(f"{goal.app.name}."))
    of_endpoints = ((release_of(e.facts.server.name), e.gateway) for e in known)
    release, host = max((*of_replicas, *of_endpoints), default=(0, ""))
    if release <= goal.release:
        return ()
    why = f"another bayplan has begun release {release} meanwhile; release {goal.release} is left to it"
    return (Failure(host, goal.app.name, "", why),)


def _one_at_a_time(given: Iterable[Step]) -> Iterator[Step]:
    """No server changed twice in a pass, and no file rewritten that a new configuration writes anyway."""
    steps = tuple(given)
    changed: set[tuple[str, str, str]] = set()
    configured = {s.host for s in steps if isinstance(s, Configure)}
    for step in steps:
        if isinstance(step, PoolChange):
            server = (step.host, step.pool, step.server.name)
            if server in changed:
                continue
            changed.add(server)
        if not (isinstance(step, Rewrite) and step.host in configured):
            yield step


def system_plan(fleet: Fleet, facts: Facts) -> Plan:
    """What the hosts need before any app: gateways, guards, the registry and the way to it."""
    registry = registry_endpoint(fleet, facts)
    ways = tuple(
        Configure(h.name, replace(h.gateway.table, registry=registry), "the way to the fleet's registry")
        for h in facts.reachable()
        if h.gateway and h.gateway.table.registry != registry
    )
    return join((_hosts(fleet, facts), Plan(steps=tuple(without_handed_over(ways, facts)))))


def _hosts(fleet: Fleet, facts: Facts) -> Plan:
    """Steps for what bayplan itself runs on each host."""
    out_of_step = (
        Rewrite(h.name, "its file is not what it runs with")
        for h in facts.reachable()
        if h.gateway and not h.gateway.in_step
    )
    silent = (
        Waiting(h.name, "", "gateway", _why_silent(fleet, h.name, c))
        for h in facts.reachable()
        if h.gateway is None and (c := h.system("gateway")) and c.state in ("running", "restarting")
    )
    late = (
        Waiting(h.name, "", "gateway", "has started and has not taken over yet")
        for h in facts.reachable()
        if h.hands_over
    )
    steps = (*plan_system(fleet, facts), *without_handed_over(out_of_step, facts))
    return Plan(steps=steps, waiting=(*silent, *late))


def _why_silent(fleet: Fleet, host: str, gateway: SystemContainer) -> str:
    if gateway.state == "running":
        return "has started and does not answer yet"
    return f"ends as soon as it starts: docker logs {system_name('gateway', fleet.name)} on {host} says why"


def _is_cramped(goal: Goal, facts: Facts, run: Memory, unplaced: Collection[str], having: Collection[Replica]) -> bool:
    """Whether one of the unplaced would have a place if none of these stood."""
    board = Board(goal, facts, run).without(having) if having and unplaced else None
    return board is not None and any(_takes(board, goal.app.services[name], goal.fleet.ports) for name in unplaced)


def _staying(goal: Goal, facts: Facts, called: Collection[str]) -> Iterator[Replica]:
    """Those that are to go once nobody calls them, or another service has what they answer in its place."""
    lent = {s.name for s in goal.app.services.values() if goal.touches(s.name) and lends(goal, s, facts)}
    yield from (old for old in predecessors(goal, facts) if old.service in called or old.service in lent)
    for service in (goal.app.services[name] for name in lent if wants_none(goal, goal.app.services[name], facts)):
        yield from facts.replicas(goal.app.name, service.name)


def _with_who_stays(
    goal: Goal, facts: Facts, run: Memory, called: Collection[str], unplaced: tuple[Unplaced, ...]
) -> tuple[Unplaced, ...]:
    """With who has the room on a host and answers there, behind a listener, for want of anybody else."""
    there = (*left_over(goal, facts), *_staying(goal, facts, called)) if unplaced else ()
    alone = {r.host: r for r in there if serves_alone(r, facts)}
    if not alone:
        return unplaced
    board = Board(goal, facts, run).without(alone.values())

    def told(service: Service, why: Rejection) -> Rejection:
        one, berth = alone.get(why.host), board.berths.get(why.host)
        if not one or not berth or reject(service, berth, board, goal.fleet.ports):
            return why
        how = f"{one.name} has that room and answers behind a listener until another does: docker stop ends it sooner"
        return Rejection(why.host, f"{why.reason}; {how}")

    return tuple(replace(u, why=tuple(told(goal.app.services[u.service], w) for w in u.why)) for u in unplaced)


def _may_yield(goal: Goal, facts: Facts, run: Memory, unplaced: Collection[str]) -> frozenset[str]:
    """Ids of what the release has no more and listeners lead to: of each service the last one that others stand in for,
    where one of the unplaced gets a place by that.
    """
    there = left_over(goal, facts)
    if not _is_cramped(goal, facts, run, unplaced, there):
        return frozenset()
    free = sorted((r for r in there if not serves_alone(r, facts)), key=lambda r: (r.service, r.slot, r.host))
    return frozenset({r.service: r.id for r in free}.values())


def _to_go_first(
    goal: Goal, facts: Facts, run: Memory, unplaced: Collection[str]
) -> tuple[frozenset[str], Mapping[str, Pull | None]]:
    """Ids of those of them that have the host's port of a service which no other host can take: two cannot have it.

    And of those that serve until its image is there, with the step for that; None where it cannot be fetched.
    """
    found, late = set[str](), dict[str, Pull | None]()
    for service in (goal.app.services[name] for name in sorted(unplaced)):
        ports = fixed_ports(service)
        having = [r for r in left_over(goal, facts) if ports & r.held_ports]
        board = Board(goal, facts, run).without(having) if having else None
        if board is None or not _may_take(board, service, goal.fleet.ports):
            continue
        for replica in having:
            berth = board.berths.get(replica.host)
            if berth is None or service.image in berth.facts.images:
                found.add(replica.id)
            elif fetched(service, berth, board, goal.fleet.ports):
                late[replica.id] = None
            elif reject(service, berth, board, goal.fleet.ports) is None:
                why = f"{service.name} is to have a port that {replica.name} has"
                late[replica.id] = Pull(replica.host, service.image, why)
            else:
                found.add(replica.id)
    return frozenset(found - late.keys()), late


def _may_take(board: Board, service: Service, ports: tuple[int, int]) -> bool:
    """Whether any host could, or could if it had the image."""
    berths = board.berths.values()
    return _takes(board, service, ports) or any(fetched(service, berth, board, ports) for berth in berths)


def _takes(board: Board, service: Service, ports: tuple[int, int]) -> bool:
    """Whether any host could take one more."""
    return any(reject(service, berth, board, ports) is None for berth in board.berths.values())


def _orphans(goal: Goal, facts: Facts, first: Collection[str], late: Collection[str], *, stands_still: bool) -> Plan:
    """Replicas of what is no service any more go: stopped ones at once, others once not led to.

    first: ids of those that do not wait for that. late: of those that stay for now. stands_still: what calls them, or
    is to have their listener, may stay as it is, so nothing waits for that.
    """
    waiting: list[Waiting] = []
    steps: list[Step] = []
    routed = routed_services(facts, goal.app.name)
    elsewhere = _displaced_by_any(goal, facts)
    for replica in (r for r in left_over(goal, facts) if r.id not in elsewhere and r.id not in late):
        if replica.state in BEING:
            waiting.append(Waiting(replica.host, replica.service, replica.name, f"is being {BEING[replica.state]}"))
        elif replica.service in routed and replica.id not in first and replica.state not in STOPPED:
            if not stands_still:
                waiting.append(Waiting(replica.host, replica.service, replica.name, "a listener still leads to it"))
        else:
            why = f"release {goal.release} has {_has_for(replica, goal)}"
            steps += retire(goal, replica, None, facts, why, waiting)
    return Plan(steps=tuple(steps), waiting=tuple(waiting))


def _has_for(replica: Replica, goal: Goal) -> str:
    """What became of its service."""
    return f"{replica.service} as a job" if replica.service in goal.app.services else f"no service {replica.service}"
