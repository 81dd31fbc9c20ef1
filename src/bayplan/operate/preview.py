"""What `up` would do, without doing it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bayplan.converge.observe import answered, observe
from bayplan.converge.overlay import granted, overlay
from bayplan.facts import Facts, HostFacts
from bayplan.images import known_pins
from bayplan.operate import doors, lost, own_address, registry_door, renamed, strangers
from bayplan.operate.ask import check_hosts
from bayplan.operate.images import builder_of, completed
from bayplan.operate.left_behind import history_lost, notes_on, registry_moves
from bayplan.operate.release import Chosen, asked_before, is_new_fleet, last_readable, number_for
from bayplan.operate.secrets import versioned
from bayplan.plan import other_apps
from bayplan.plan.endure import Risk, risks
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.replica import definition
from bayplan.plan.steps import (
    Configure,
    Deliver,
    Failure,
    Held,
    Network,
    Plan,
    Pull,
    Remove,
    Run,
    Start,
    Step,
    Stop,
    System,
    Unplaced,
    Waiting,
    join,
    kind,
    subject,
)
from bayplan.plan.unanswered import unanswered
from bayplan.ports import FleetPorts
from bayplan.spec.model import App

_WAITS = 3  # a replica waits for its names, these for a gateway, and that for its image


@dataclass(frozen=True, slots=True)
class Preview:
    """The first pass's steps. builds, copies: services whose image is made first. held: what starts later.

    failures: what stops it all. risks: losses that the fleet would not survive then. later, going: by service, how many
    more replicas are replaced, or go for good, once these steps are done. waiting: jobs whose ends are waited for.
    notes: what a person should know of besides.
    """

    steps: tuple[Step, ...]
    builds: tuple[str, ...]
    copies: tuple[str, ...]
    unplaced: tuple[Unplaced, ...]
    held: tuple[Held, ...]
    failures: tuple[Failure, ...]
    unreachable: tuple[HostFacts, ...]
    risks: tuple[Risk, ...] = ()
    later: Mapping[str, int] = field(default_factory=dict)
    going: Mapping[str, int] = field(default_factory=dict)
    waiting: tuple[Waiting, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        told = self.unplaced or self.held or self.failures or self.waiting
        return not (self.steps or self.builds or self.copies or told)


async def preview(ports: FleetPorts, app: App, assume_down: frozenset[str], secrets: Mapping[str, bytes]) -> Preview:
    """Plan one pass for what the file says. Replacements that wait for a build are planned as they would be.

    Raises UsageError for a host that the fleet does not have, NoHostError.
    """
    check_hosts(ports.fleet, assume_down)
    facts = answered(ports.fleet, await observe(ports))
    notes = [*notes_on(ports.fleet, facts)]
    listened = doors.Listened(ports)
    latest, pinned, unmade = await foreseen(listened, app, secrets, facts, notes.append)
    notes += (*other_apps.notes(pinned, facts), *unanswered(pinned, unmade))
    number = number_for(ports.fleet, latest, pinned, frozenset(), facts)
    goal = Goal(ports.fleet, pinned, number, await asked_before(ports.releases, latest), assume_down)
    found = _all_at_once(goal, facts, ports.clock.now())
    silent = tuple(h for h in facts.hosts.values() if not h.reachable)
    builds = tuple(name for name in unmade if app.services[name].build)
    copies = tuple(name for name in unmade if not app.services[name].build)
    after = risks(goal, overlay(facts, found.steps))
    more, less = later(goal, facts, found.steps), going(goal, facts, found.steps)
    taken = (Failure(t.host, t.service, "", t.why) for t in await doors.by_strangers(listened, pinned, facts))
    shared = (Failure(s.host, s.service, "", s.why) for s in strangers.writers(pinned, facts))
    released = latest.app if latest else None
    gone = (Failure(v.host, v.service, "", v.why) for v in lost.volumes(app, released, facts))
    if latest is None:
        notes += history_lost(ports.fleet, app.name, facts)
        notes += await renamed.notes(app, facts, ports.releases)
    notes += lost.notes(app, released, facts)
    failures = (*await _refused(ports, facts), *found.failures, *taken, *shared, *gone)
    jobs = tuple(w for w in found.waiting if w.open_end)
    return Preview(
        found.steps,
        builds,
        copies,
        found.unplaced,
        found.held,
        failures,
        silent,
        after,
        more,
        less,
        jobs,
        tuple(notes),
    )


async def _refused(ports: FleetPorts, facts: Facts) -> list[Failure]:
    """What `up` begins nothing for, whatever the app."""
    foreign, doors_held = await asyncio.gather(own_address.foreign(ports, facts), registry_door.held_on(ports, facts))
    told = [(one.host, f"private_ip: {one.why}; {one.todo}") for one in foreign]
    told += [(host, f"{held.why}; {held.todo}") for host, held in doors_held]
    return [Failure(host, "", "", why) for host, why in told]


def later(goal: Goal, facts: Facts, steps: Iterable[Step]) -> dict[str, int]:
    """By service: replicas of another definition that none of the steps is about."""
    made = [*steps]
    runs = [s for s in made if isinstance(s, Run)]
    replaced: set[tuple[str, int | str]] = {(s.service, s.slot) for s in runs} | {(s.service, s.host) for s in runs}
    names = {subject(s) for s in made}
    app = goal.app
    left = (
        r.service
        for r in facts.replicas(app.name)
        if r.service in app.services
        and not r.job
        and (r.everywhere or r.slot <= app.services[r.service].replicas)
        and r.spec != definition(app.services[r.service], app)
        and (r.service, r.host if r.everywhere else r.slot) not in replaced
        and r.name not in names
    )
    return dict(Counter(left))


def going(goal: Goal, facts: Facts, steps: Iterable[Step]) -> dict[str, int]:
    """By service: replicas beyond what is wanted that none of the steps is about."""
    names, services = {subject(s) for s in steps}, goal.app.services
    beyond = (
        r.service
        for r in facts.replicas(goal.app.name)
        if not (r.job or r.everywhere or r.name in names)
        and (r.service not in services or r.slot > services[r.service].replicas)
    )
    return dict(Counter(beyond))


async def foreseen(
    listened: doors.Listened, app: App, secrets: Mapping[str, bytes], facts: Facts, say: Callable[[str], None]
) -> tuple[Chosen | None, App, tuple[str, ...]]:
    """The newest release, the app as the next would record it, and the services whose image would be made first.

    say: as `last_readable` has it.
    """
    ports = listened.ports
    is_new = is_new_fleet(ports.fleet, facts)
    latest = None if is_new else await last_readable(ports.releases, app.name, say)
    before, builder = latest.app if latest else None, builder_of(ports, facts)
    known = await versioned(app, before, secrets)
    is_empty = is_new or bool(registry_moves(ports.fleet, facts))
    pinned, unmade = await known_pins(known, builder, ports.registry, is_empty=is_empty)
    whole = await completed(ports, pinned, before, builder, facts, unmade=unmade)
    return latest, await doors.without_taken(listened, whole, facts, say), unmade


def _all_at_once(goal: Goal, facts: Facts, now: float) -> Plan:
    """The first pass's steps, and the replicas behind an image, a network or a guard: people ask for those."""
    before: tuple[Configure | Deliver | Network | Pull | System, ...] = ()
    for _ in range(_WAITS):
        found = plan(goal, granted(facts, before), now)
        wanted = (s for s in found.steps if isinstance(s, Configure | Deliver | Network | Pull | System))
        before = (*before, *wanted)
    return join((Plan(steps=before), plan(goal, granted(facts, before), now)))


def as_json(found: Preview) -> dict[str, Any]:
    """The shape of `plan --json`."""
    return {
        "steps": [_step(s) for s in found.steps],
        "unplaced": [asdict(u) for u in found.unplaced],
        "held": [asdict(h) for h in found.held],
        "waiting": [asdict(w) for w in found.waiting],
        "builds": list(found.builds),
        "copies": list(found.copies),
        "failures": [asdict(f) for f in found.failures],
        "unreachable": [{"host": h.name, "why": h.why} for h in found.unreachable],
        "later": dict(found.later),
        "going": dict(found.going),
        "risks": [asdict(r) | {"told": r.told()} for r in found.risks],
        "notes": list(found.notes),
    }


def _step(step: Step) -> dict[str, str]:
    service = step.service if isinstance(step, Deliver | Run | Start | Stop | Remove) else ""
    return {
        "kind": kind(step),
        "service": service,
        "host": step.host,
        "replica": "" if isinstance(step, Pull) else subject(step),
        "why": step.why,
    }
