"""Stopping services and keeping their containers, starting them again, and restarting them a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from math import ceil
from typing import Any

from bayplan.converge.loop import Convergence
from bayplan.converge.outcome import Outcome
from bayplan.converge.sight import Sight
from bayplan.errors import UsageError
from bayplan.facts import Facts, Replica
from bayplan.operate import lost
from bayplan.operate.ask import check_hosts
from bayplan.operate.bring import Result, Wishes, changing, converge, ready_hosts, record_next, tell
from bayplan.operate.events import Event, OnEvent, Stage
from bayplan.operate.left_behind import check_registry_stays
from bayplan.operate.release import Chosen, check_known, required
from bayplan.operate.restart_policy import forget_restart
from bayplan.plan.goal import Goal
from bayplan.plan.halt import halt
from bayplan.plan.order import held_now, in_order
from bayplan.plan.slots import is_of
from bayplan.plan.standing import endpoints
from bayplan.plan.steps import Plan
from bayplan.ports import FleetPorts
from bayplan.spec.model import App, Fleet, Service

PATIENCE = 30.0  # seconds on top of the longest drain


async def stop(ports: FleetPorts, app: str, wishes: Wishes, on: OnEvent) -> Result:
    """The services (none named: all) out of the pools, then stopped; their containers stay. It is recorded, so that
    nothing but `start` or `up` brings them back: neither a scale of others nor an engine that starts.
    """

    async def work(sight: Sight) -> Result:
        check_registry_stays(ports.fleet, sight.seen)
        now, facts = await required(ports.releases, app), (await ready_hosts(ports, on, sight)).facts
        names = _named(now.app, wishes)
        chosen = await record_next(ports, now, now.app, now.stopped | names, _why("stop", wishes), facts)
        goal = Goal(ports.fleet, chosen.app, chosen.number, chosen.before, wishes.assume_down)
        which = [r for r in facts.replicas(app) if r.service in names]
        await forget_restart(ports, which)
        on(Stage("replicas", f"release {chosen.number}"))
        for level in _outermost_first(chosen.app, names):
            those = [r for r in which if r.service in level]
            outcome = await _halted(ports, goal, those, "is to be stopped", on, sight)
            if outcome.errors or outcome.stalled:
                break
        return Result(goal, outcome, chosen.is_new, stopped=chosen.stopped)

    return await _doing(ports, "stop", app, work, wishes, on)


async def start(ports: FleetPorts, app: str, wishes: Wishes, on: OnEvent) -> Result:
    """The services (none named: all that are stopped) as they were, and what they depend on."""

    async def work(sight: Sight) -> Result:
        facts = sight.seen
        check_registry_stays(ports.fleet, facts)
        now = await required(ports.releases, app)
        names = _named(now.app, wishes)
        names |= now.app.with_needed(names) & now.stopped
        lost.check(now.app, now.app, facts)
        tell(on, lost.notes(now.app, now.app, facts, names))
        chosen = await record_next(ports, now, now.app, now.stopped - names, _why("start", wishes), facts)
        return await converge(ports, chosen, Wishes(names, wishes.assume_down), on, sight)

    return await _doing(ports, "start", app, work, wishes, on)


async def restart(ports: FleetPorts, app: str, wishes: Wishes, on: OnEvent) -> Result:
    """Each replica of the services out of the pools, stopped, started and back in them, as many at a time as an update
    replaces. It ends where one does not come back, and before it stops one that could not start again. What is not of
    the release is replaced, as `up` replaces it.
    """

    async def work(sight: Sight) -> Result:
        check_registry_stays(ports.fleet, sight.seen)
        now = await required(ports.releases, app)
        names = _running(now, wishes)
        facts = await sight.look()
        lost.check(now.app, now.app, facts)
        tell(on, lost.notes(now.app, now.app, facts, names))
        chosen = await record_next(ports, now, now.app, now.stopped, _why("restart", wishes), facts)
        on(Stage("replicas", f"release {chosen.number}"))
        batches = [*_batches(ports.fleet, chosen.app, names, facts)]
        for number, (service, batch) in enumerate(batches):
            result = await _again(ports, chosen, service, batch, wishes, quietly, sight)
            if not _is_back(result.outcome):
                tell(on, _not_restarted(service, batch, batches[number + 1 :]))
                return result
        return await converge(ports, chosen, Wishes(names, wishes.assume_down), quietly, sight)

    def quietly(event: Event) -> None:
        """One stage, however many batches."""
        if not isinstance(event, Stage):
            on(event)

    return await _doing(ports, "restart", app, work, wishes, on)


async def _again(
    ports: FleetPorts,
    now: Chosen,
    service: Service,
    batch: Sequence[Replica],
    wishes: Wishes,
    on: OnEvent,
    sight: Sight,
) -> Result:
    goal = Goal(ports.fleet, now.app, now.number, now.before, wishes.assume_down)
    facts = await sight.look()
    if held := held_now(goal, service, facts, ports.clock.now()):
        return Result(goal, Outcome(facts, Plan(held=(held,)), passes=1), is_new=False, stopped=now.stopped)
    outcome = await _halted(ports, goal, batch, "is restarted", on, sight)
    if outcome.errors or outcome.stalled:
        return Result(goal, outcome, is_new=False, stopped=now.stopped)
    return await converge(ports, now, Wishes(frozenset({service.name}), wishes.assume_down), on, sight)


def _not_restarted(
    at: Service, batch: Sequence[Replica], left: Iterable[tuple[Service, Sequence[Replica]]]
) -> Iterator[str]:
    """What a restart that ends at this service has not come to, or has not all of."""
    names = [*dict.fromkeys(service.name for service, of in ((at, batch), *left) if of or service.name == at.name)]
    after = f", and nothing of {', '.join(names[1:])}" if names[1:] else ""
    yield (
        f"the restart ends at {at.name}: not all of it was restarted{after}; "
        f"once that is mended: bayplan restart {' '.join(names)}"
    )


def _is_back(outcome: Outcome) -> bool:
    """Whether all of the service stands; hosts that are silent and had none of it do not matter."""
    left = outcome.plan.held or outcome.plan.unplaced or outcome.plan.presumed
    return not (outcome.failures or outcome.errors or outcome.stalled or left)


async def _halted(
    ports: FleetPorts, goal: Goal, which: Sequence[Replica], why: str, on: OnEvent, sight: Sight
) -> Outcome:
    chosen = frozenset((r.host, r.name) for r in which)
    drains = (goal.app.services[r.service].drain for r in which if r.service in goal.app.services)
    patience = PATIENCE + max(drains, default=0.0)
    run = Convergence(
        ports, lambda facts, _now, _run: halt(goal, chosen, facts, why), on, patience=patience, sight=sight
    )
    return await run.run()


def _outermost_first(app: App, names: frozenset[str]) -> Iterator[frozenset[str]]:
    """The services on which none of the others depends, then those on which only these did, and so on."""
    left = set(names)
    while left:
        needed = {needed for name in left for needed in app.services[name].depends_on}
        level = frozenset(left - needed) or frozenset(left)
        yield level
        left -= level


def _batches(
    fleet: Fleet, app: App, names: frozenset[str], facts: Facts
) -> Iterator[tuple[Service, Sequence[Replica]]]:
    """Of each service that stays, first all that serve nothing, then of the others as many as may be replaced at once.

    The first may be none: with them what is missing comes up, and what is not of the release is replaced, before any
    that serves is stopped.
    """
    for service in (s for s in in_order(app) if s.name in names and not s.is_job):
        there = (r for r in facts.replicas(app.name, service.name) if is_of(fleet, app, service, r))
        replicas = sorted(there, key=lambda r: (r.slot, r.host))
        yield service, [r for r in replicas if _is_ill(r, facts)]
        well = [r for r in replicas if not _is_ill(r, facts)]
        size = _at_once(service, len(well))
        yield from ((service, well[i : i + size]) for i in range(0, len(well), size))


def _is_ill(replica: Replica, facts: Facts) -> bool:
    """Whether it serves nothing: it is down, or no gateway that knows it sends it anything. One that none knows is
    well: they may be silent.
    """
    seen = [e.facts for e in endpoints(replica, facts)]
    return not replica.alive or (bool(seen) and not any(s.takes_traffic for s in seen))


def _at_once(service: Service, serving: int) -> int:
    """As many as an update replaces, but never all: one serves on, if there is another."""
    return max(1, min(service.update.parallelism or ceil(serving / 4), serving - 1))


def _named(app: App, wishes: Wishes) -> frozenset[str]:
    if wishes.services is None:
        return frozenset(app.services)
    check_known(app, sorted(wishes.services))
    return wishes.services


def _running(now: Chosen, wishes: Wishes) -> frozenset[str]:
    names = _named(now.app, wishes)
    stopped = sorted(names & now.stopped) if wishes.services else []
    stopped = stopped or sorted(now.app.with_needed(names - now.stopped) & now.stopped)  # nothing starts without them
    if stopped:
        raise UsageError(f"{stopped[0]} is stopped", todo=f"start it: bayplan start {' '.join(stopped)}")
    return names - now.stopped


def _why(verb: str, wishes: Wishes) -> str:
    return " ".join([verb, *sorted(wishes.services or ())])


async def _doing(
    ports: FleetPorts,
    verb: str,
    app: str,
    work: Callable[[Sight], Coroutine[Any, Any, Result]],
    wishes: Wishes,
    on: OnEvent,
) -> Result:
    check_hosts(ports.fleet, wishes.assume_down)
    return await changing(ports, " ".join([verb, app, *sorted(wishes.services or ())]), work, wishes, on)
