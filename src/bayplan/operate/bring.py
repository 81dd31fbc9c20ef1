"""Bringing an app to a release: hosts, images, release, replicas. What `up` and `scale` do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bayplan.converge.loop import Convergence
from bayplan.converge.observe import last_lines
from bayplan.converge.outcome import Outcome
from bayplan.converge.sight import Sight
from bayplan.converge.vault import Vault
from bayplan.errors import BayplanError, GatewayError, PartialError
from bayplan.facts import Facts
from bayplan.operate import doors, lost, own_address, renamed, restarting, strangers
from bayplan.operate.alone import alone
from bayplan.operate.ask import check_hosts
from bayplan.operate.back import by_rollback_config, last_that_serves, to_go_back, undone
from bayplan.operate.events import Note, OnEvent, Stage
from bayplan.operate.images import builder_of, completed
from bayplan.operate.left_behind import check_registry_stays, history_lost, notes_on
from bayplan.operate.prepare import prepared
from bayplan.operate.release import Chosen, current, last_readable, only, read_ahead, record, required, scaled
from bayplan.operate.restart_policy import forget_restart, wake
from bayplan.operate.secrets import forget, versioned
from bayplan.operate.source import source_of
from bayplan.operate.together import unless_refused
from bayplan.plan import other_apps
from bayplan.plan.endure import Risk, risks
from bayplan.plan.goal import Goal
from bayplan.plan.leads import led_at
from bayplan.plan.plan import plan, system_plan
from bayplan.plan.routes import forgotten
from bayplan.plan.slots import STOPPED
from bayplan.plan.standing import ready_deadline
from bayplan.plan.unanswered import unanswered
from bayplan.ports import FleetPorts, LogLine
from bayplan.spec.model import App, Service
from bayplan.spec.pinned import host_paths

T = TypeVar("T")

LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. logs: the last lines of each replica that failed. stopped: services that are not to run.
    volumes: (name, host) of those that were removed. risks: losses that it does not survive. went_back: services that
    are as they were, since what they were to be failed.
    """

    goal: Goal
    outcome: Outcome
    is_new: bool
    logs: Mapping[str, tuple[LogLine, ...]] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    volumes: tuple[tuple[str, str], ...] = ()
    risks: tuple[Risk, ...] = ()
    went_back: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wishes:
    """How `up` is to go about it. secrets: values of the app's secrets, as far as they are known here."""

    services: frozenset[str] | None = None
    assume_down: frozenset[str] = frozenset()
    force_build: bool = False
    pull: bool = False
    patience: float = 0.0  # seconds to wait for another operator
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    directory: Path | None = None  # where the files are, whose git commit the release tells
    moves: Mapping[tuple[str, int], str] = field(default_factory=dict)  # as a Goal's


async def up(ports: FleetPorts, app: App, wishes: Wishes, on: OnEvent) -> Result:
    """The app as the file says, on the fleet. Raises UsageError for a service or host that is not there."""
    check_hosts(ports.fleet, wishes.assume_down)
    on(Stage("hosts", "hosts"))
    async with read_ahead(ports.releases, app.name):
        return await changing(ports, f"up {app.name}", lambda sight: _up(ports, app, wishes, on, sight), wishes, on)


async def changing(
    ports: FleetPorts, doing: str, work: Callable[[Sight], Coroutine[Any, Any, T]], wishes: Wishes, on: OnEvent
) -> T:
    """`work` while nobody else changes the fleet. Raises as `alone` does."""
    return await alone(ports, doing, work, on, gone=wishes.assume_down, patience=wishes.patience)


async def _up(ports: FleetPorts, app: App, wishes: Wishes, on: OnEvent, sight: Sight) -> Result:
    if wishes.services is not None:
        wishes = replace(wishes, services=app.with_needed(wishes.services))
    seen = sight.seen
    tell(on, notes_on(ports.fleet, seen))
    asking = asyncio.create_task(source_of(wishes.directory))
    hosts = await ready_hosts(ports, on, sight)
    await own_address.check(ports, hosts.facts, "nothing of the app was changed")  # over TLS its guard is asked
    await _restore(ports, app.name, hosts.facts, on)
    builder = builder_of(ports, hosts.facts)
    before = await _released_before(ports, app.name, wishes, on)
    wanted = only(before, app, wishes.services)
    released = before.app if before else None
    lost.check(wanted, released, hosts.facts)
    strangers.check(wanted, hosts.facts)
    if before is None:
        tell(on, history_lost(ports.fleet, app.name, seen))
        tell(on, await renamed.notes(wanted, hosts.facts, ports.releases))
    tell(on, lost.notes(wanted, released, hosts.facts, wishes.services))
    on(Stage("images", "images"))
    listened = doors.Listened(ports)
    making = prepared(
        ports,
        wanted,
        builder,
        on,
        partial(ready_hosts, ports, on, sight),
        force_build=wishes.force_build,
        pull=wishes.pull,
        only=wishes.services,
        secrets=wishes.secrets,
    )
    pinned = await unless_refused(doors.check(listened, wanted, hosts.facts), making)
    whole = await completed(ports, pinned, released, builder, hosts.facts)
    whole = await versioned(whole, released, wishes.secrets)
    whole = await doors.without_taken(listened, whole, hosts.facts, lambda text: on(Note(text)))
    tell(on, (*other_apps.notes(whole, hosts.facts), *unanswered(whole)))
    stopped = frozenset[str]() if before is None or wishes.services is None else before.stopped - wishes.services
    await wake(ports, before, stopped, hosts.facts)
    chosen = await record(ports, whole, "up", hosts.facts, latest=before, source=await asking, stopped=stopped)
    return await _converge_or_back(ports, before, chosen, wishes, on, sight)


def tell(on: OnEvent, notes: Iterable[str]) -> None:
    """What a person should know of besides."""
    for note in notes:
        on(Note(note))


async def _released_before(ports: FleetPorts, app: str, wishes: Wishes, on: OnEvent) -> Chosen | None:
    """The newest release; where the file brings the whole app anyway, the newest that can be read."""
    if wishes.services is not None:
        return await current(ports.releases, app)
    return await last_readable(ports.releases, app, lambda text: on(Note(text)))


async def scale(ports: FleetPorts, app: str, replicas: Mapping[str, int], wishes: Wishes, on: OnEvent) -> Result:
    """Other replica counts for what runs now. Raises UsageError as `up` does."""
    check_hosts(ports.fleet, wishes.assume_down)
    why = "scale " + " ".join(f"{n}={c}" for n, c in replicas.items())

    async def work(sight: Sight) -> Result:
        facts = sight.seen
        check_registry_stays(ports.fleet, facts)
        now = await required(ports.releases, app)
        lost.check(now.app, now.app, facts)
        wanted, stopped = scaled(now.app, replicas, ports.fleet), now.stopped - set(replicas)
        tell(on, lost.notes(wanted, now.app, facts, wanted.services.keys() - stopped))
        chosen = await record_next(ports, now, wanted, stopped, why, facts)
        return await _converge_or_back(ports, now, chosen, wishes, on, sight)

    async with read_ahead(ports.releases, app):
        return await changing(ports, why.replace("scale", f"scale {app}", 1), work, wishes, on)


async def record_next(
    ports: FleetPorts, now: Chosen, app: App, stopped: frozenset[str], why: str, facts: Facts
) -> Chosen:
    """A release made of the newest. why: the verb and what it was given."""
    await wake(ports, now, stopped, facts)
    return await record(ports, app, why, facts, latest=now, source=now.source, stopped=stopped)


async def ready_hosts(ports: FleetPorts, on: OnEvent, sight: Sight | None = None) -> Outcome:
    """Gateways, guards and the registry on every host that answers. A host where that fails is told of at the end, by
    the same steps; raises PartialError when there is no other.
    """
    run = Convergence(ports, lambda facts, _now, _run: system_plan(ports.fleet, facts), on, sight=sight)
    outcome = await run.run()
    await _tell_restarting(ports, outcome.facts, on)
    ready = {h.name for h in outcome.facts.reachable()} - {step.host for step, _ in outcome.errors}
    if not ready:
        step, error = outcome.errors[0]
        raise PartialError(f"{step.host} is not ready: {error.what}", where=error.where, todo=error.todo) from error
    return outcome


async def _tell_restarting(ports: FleetPorts, facts: Facts, on: OnEvent) -> None:
    """Gateways that cannot start. Raises GatewayError for the one by which the fleet's own registry is reached."""
    registry = ports.fleet.registry
    for host in facts.reachable():
        if (words := await restarting.why(ports, host, "gateway")) is None:
            continue
        told, todo = restarting.told("gateway", words), restarting.todo(ports.fleet.name, host.name, "gateway")
        if registry and registry.host == host.name:
            raise GatewayError(f"{told}; no other way leads to the registry", where=host.name, todo=todo)
        on(Note(f"{host.name}: {told}; {todo}"))


async def _restore(ports: FleetPorts, app: str, facts: Facts, on: OnEvent) -> None:
    """Other apps that a gateway forgot which somebody removed, with its files: led to again, as released."""
    for other in sorted({r.app for r in facts.replicas()} - {app}):
        hosts = forgotten(ports.fleet, other, facts)
        try:
            released = await current(ports.releases, other) if hosts else None
            if released:
                lost.check(released.app, released.app, facts)
        except BayplanError as error:
            on(Note(f"{', '.join(sorted(hosts))}: {other} is not led to again: {error.what}"))
            continue
        services = released.app.services.values() if released else ()
        if released and any(led_at(ports.fleet, service, host) for service in services for host in hosts):
            on(Stage("replicas", f"{other}, to which the gateway of {', '.join(sorted(hosts))} is to lead again"))
            again = await record_next(ports, released, released.app, released.stopped, "led to again", facts)
            await _brought(ports, again, Wishes(), on)


async def _converge_or_back(
    ports: FleetPorts, before: Chosen | None, chosen: Chosen, wishes: Wishes, on: OnEvent, sight: Sight
) -> Result:
    """The release; where it fails and the file says so, its services as they were before, as one more release."""
    result = await converge(ports, chosen, wishes, on, sight)
    failed, seen = result.outcome.failures, result.outcome.facts
    if before and chosen.is_new and failed:
        before = await last_that_serves(ports.releases, before, chosen, failed, seen)
    services = to_go_back(before, chosen, failed)
    if before is None or not services:
        return result
    app, facts = undone(before.app, chosen.app, services), await sight.look()
    why = f"rollback of {', '.join(services)} to {before.number}: release {chosen.number} failed"
    stopped = chosen.stopped | (before.stopped & set(services))
    back = await record_next(ports, chosen, app, stopped, why, facts)
    after = await converge(ports, back, wishes, on, sight, back=why)
    failures = (*result.outcome.failures, *after.outcome.failures)
    logs, went_back = {**result.logs, **after.logs}, frozenset(services)
    return replace(after, outcome=replace(after.outcome, failures=failures), logs=logs, went_back=went_back)


async def converge(
    ports: FleetPorts,
    chosen: Chosen,
    wishes: Wishes,
    on: OnEvent,
    sight: Sight | None = None,
    *,
    back: str = "",
) -> Result:
    """Passes until the release stands; then what a gateway that was made anew on the way lacks of other apps.

    sight: what was seen a moment ago. back: to what it is gone back.
    """
    on(Stage("replicas", f"release {chosen.number}" + (f" ({back})" if back else "")))
    result = await _brought(ports, chosen, wishes, on, sight, is_back=bool(back))
    await _restore(ports, chosen.app.name, result.outcome.facts, on)
    return result


async def _brought(
    ports: FleetPorts,
    chosen: Chosen,
    wishes: Wishes,
    on: OnEvent,
    sight: Sight | None = None,
    *,
    is_back: bool = False,
) -> Result:
    app, only = by_rollback_config(chosen.app) if is_back else chosen.app, wishes.services
    if chosen.stopped:
        only = (only if only is not None else frozenset(app.services)) - chosen.stopped
    goal = Goal(ports.fleet, app, chosen.number, chosen.before, wishes.assume_down, only, wishes.moves, chosen.stopped)
    patience = 30 + max((_longest_wait(s) for s in app.services.values()), default=30)
    login = await asyncio.to_thread(lambda: ports.registry.login if ports.registry else None)  # may run a command
    planner = partial(plan, goal)
    sight = sight or Sight(ports)
    paths = frozenset[str]() if ports.fleet.local else host_paths(chosen.app)
    sight.look_for(paths, frozenset(s.image for s in app.services.values() if s.image))
    vault = Vault(wishes.secrets, chosen.app.configs)
    if chosen.stopped:
        left = (r for r in (await sight.look()).replicas(app.name) if r.state not in STOPPED)
        await forget_restart(ports, (r for r in left if r.service in chosen.stopped))
    run = Convergence(ports, planner, on, patience=patience, login=login, sight=sight, vault=vault)
    outcome = await run.run()
    if outcome.is_whole and outcome.passes > 1 and (chosen.app.secrets or chosen.app.configs):
        await forget(ports, chosen.app)
    words, told = await _last_words(ports, outcome), risks(goal, outcome.facts)
    return Result(goal, outcome, chosen.is_new, words, chosen.stopped, risks=told)


def _longest_wait(service: Service) -> float:
    """Seconds in which nothing may be seen to move."""
    return ready_deadline(service) + service.drain + max(service.update.delay, service.update.monitor)


async def _last_words(ports: FleetPorts, outcome: Outcome) -> dict[str, tuple[LogLine, ...]]:
    words: dict[str, tuple[LogLine, ...]] = {}
    for failure in outcome.failures:
        if failure.replica:
            words[failure.replica] = await last_lines(ports.engines[failure.host], failure.replica, LAST_LINES)
    return words
