"""Which release is to run: the newest if nothing changed, else a new one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bayplan.errors import UnreadableError, UsageError
from bayplan.facts import Facts
from bayplan.operate.operator import operator
from bayplan.plan.goal import Goal
from bayplan.plan.slots import namesakes
from bayplan.ports import FleetPorts, Release, Releases, Source
from bayplan.spec.listeners import same_listener
from bayplan.spec.model import App, Fleet, Service
from bayplan.spec.pinned import writes_volume

LOST = "the registry has lost it"
ELSEWHERE = "it is not recorded here: lost, or given while the fleet had another registry"
_AROUND = ("networks", "volumes", "secrets", "configs")  # what services name
NO_SOURCE = Source()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The release, its app, whether it is new, and the replicas by service that the one before asked for.

    newest: the highest number that was given, where those above this one cannot be read.
    """

    number: int
    app: App
    is_new: bool
    before: Mapping[str, int]
    source: Source = NO_SOURCE
    stopped: frozenset[str] = frozenset()
    newest: int = 0


async def current(releases: Releases, app: str) -> Chosen | None:
    """The newest release; None: never released. Raises UnreadableError, rather than take an older one for it."""
    numbers = await releases.numbers(app)
    return chosen_of(await readable(releases, app, numbers[-1])) if numbers else None


@asynccontextmanager
async def read_ahead(releases: Releases, app: str) -> AsyncIterator[None]:
    """The newest release is read while its reader takes the lock. Which one is the newest is asked again when the lock
    is held; the same number is the same release then, and is there already.
    """
    reading = asyncio.create_task(current(releases, app))
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)  # whoever holds the lock is told what is wrong


async def last_readable(releases: Releases, app: str, say: Callable[[str], None]) -> Chosen | None:
    """For who brings the whole app anyway: the newest release that can be read, none at all if there is no such one.

    say: told what cannot be read, and what is taken for it.
    """
    try:
        return await current(releases, app)
    except UnreadableError as damaged:
        numbers = await releases.numbers(app)
        found = await _first(releases, app, reversed(numbers))
        known = chosen_of(found) if found else unreleased(app)
        say(f"{damaged.what}; {f'release {found.number} is taken for it' if found else 'nor can any other'}")
        return replace(known, newest=numbers[-1])


async def readable(releases: Releases, app: str, number: int) -> Release:
    """One that was given. Raises UnreadableError that says which it is."""
    try:
        if (found := await releases.get(app, number)) is not None:
            return found
        why, where = LOST if number in await releases.numbers(app) else ELSEWHERE, ""
    except UnreadableError as damaged:
        why, where = damaged.what, damaged.where
    todo = (
        "bayplan up releases what the file says anew, bayplan rollback N what an older one says: "
        "bayplan history tells which can be read"
    )
    raise UnreadableError(f"release {number} of {app} cannot be read: {why}", where=where, todo=todo)


async def if_readable(releases: Releases, app: str, number: int) -> Release | None:
    """One of them; None for one that is damaged or lost."""
    with suppress(UnreadableError):
        return await releases.get(app, number)
    return None


async def _first(releases: Releases, app: str, numbers: Iterable[int]) -> Release | None:
    """The first of them that can be read."""
    for number in numbers:
        if found := await if_readable(releases, app, number):
            return found
    return None


def chosen_of(release: Release) -> Chosen:
    """One that was released before."""
    spec = spec_of(release)
    return Chosen(
        release.number,
        spec,
        is_new=False,
        before=_replicas(spec),
        source=release.source,
        stopped=frozenset(release.stopped),
    )


def unreleased(app: str) -> Chosen:
    """What stands for the release of an app that has none."""
    return Chosen(0, App(name=app), is_new=False, before={})


async def last_that_ran(releases: Releases, app: str) -> App:
    """As the newest release with services has it, of those that can be read: after a `down` the newest has none."""
    for number in reversed(await releases.numbers(app)):
        found = await if_readable(releases, app, number)
        if found and (old := spec_of(found)).services:
            return old
    return App(name=app)


def spec_of(release: Release) -> App:
    """The app that it recorded."""
    return App.model_validate_json(release.spec)


def is_new_fleet(fleet: Fleet, facts: Facts) -> bool:
    """Whether the fleet's own registry was never started, so that nothing was released: its host says so itself."""
    host = facts.hosts.get(fleet.registry.host) if fleet.registry and fleet.registry.host else None
    return host is not None and host.reachable and host.system("registry") is None and not any(facts.replicas())


async def required(releases: Releases, app: str) -> Chosen:
    """The newest release, which must be one with services."""
    chosen = await current(releases, app)
    if chosen is None or not chosen.app.services:
        raise UsageError(f"the app {app} is not up on this fleet", todo="bring it up first: bayplan up")
    return chosen


async def record(
    ports: FleetPorts,
    app: App,
    why: str,
    facts: Facts,
    *,
    latest: Chosen | None = None,
    source: Source = NO_SOURCE,
    stopped: frozenset[str] = frozenset(),
) -> Chosen:
    """The newest release if it says the same as `app`, else a new one that does. latest: it has just been read.
    stopped: services that are not to run.

    Its number is as `number_for` has it.
    """
    releases = ports.releases
    latest = latest or await current(releases, app.name)
    stopped &= set(app.services)
    number = number_for(ports.fleet, latest, app, stopped, facts)
    if latest and number == latest.number:
        return latest
    before = await asked_before(releases, latest)
    await releases.put(
        Release(number, app.name, app.model_dump_json(), operator(), time.time(), why, source, tuple(sorted(stopped)))
    )
    return Chosen(number, app, is_new=True, before=before, source=source, stopped=stopped)


async def asked_before(releases: Releases, latest: Chosen | None) -> Mapping[str, int]:
    """A Goal's `before`, for a release that follows on `latest`. What a `down` took away ran before, too: nothing of it
    stands, and a host that does not answer may have its volumes.
    """
    if latest is None or latest.app.services:
        return latest.before if latest else {}
    return dict.fromkeys((await last_that_ran(releases, latest.app.name)).services, 0)


def number_for(fleet: Fleet, latest: Chosen | None, app: App, stopped: frozenset[str], facts: Facts) -> int:
    """The newest release's if it says the same and what runs by its names is of it, else the next, above all that
    stands, whatever became of the records: a replica of a later release stops an `up`.
    """
    standing = max((r.release for r in facts.replicas(app.name)), default=0)
    if latest is None:
        return standing + 1
    highest = max(latest.number, latest.newest, standing)
    is_same = (latest.app, latest.stopped) == (app, stopped) and latest.number == highest
    is_it = is_same and not any(namesakes(Goal(fleet, app, latest.number), facts))
    return latest.number if is_it else highest + 1


def check_known(app: App, services: Iterable[str]) -> None:
    """Raises UsageError for the first that the app does not have."""
    unknown = next((name for name in services if name not in app.services), None)
    if unknown is not None:
        todo = f"it has: {', '.join(app.services) or 'none'}"
        raise UsageError(f"no service {unknown} in the app {app.name}", todo=todo)


def only(chosen: Chosen | None, app: App, services: frozenset[str] | None) -> App:
    """`app`, with the services that are not asked for as the newest release has them.

    Raises UsageError for one that the app does not have, and for one whose listener another one keeps that way.
    """
    if services is None:
        return app
    check_known(app, sorted(services))
    old = chosen.app.services if chosen else {}
    kept = {n: s for n, s in app.services.items() if n in services}
    _check_listeners(kept.values(), [s for n, s in old.items() if n not in kept], app)
    return app.model_copy(update={**(around(chosen.app, app) if chosen else {}), "services": {**old, **kept}})


def _check_listeners(asked: Iterable[Service], staying: Iterable[Service], app: App) -> None:
    """A listener that moves from one service to another moves when both are brought up: two cannot have it."""
    for one, two in product(asked, staying):
        if port := same_listener(one, two):
            both = f" {one.name} {two.name}" if two.name in app.services else ""
            raise UsageError(
                f"port {port} is {one.name}'s in the file, and {two.name}'s, which would stay as it is released",
                todo=f"bring both up: bayplan up{both}",
            )


def around(before: App, now: App) -> dict[str, dict[str, Any]]:
    """What services name, of both: where both have one of a name, it is as it is now."""
    return {key: {**getattr(before, key), **getattr(now, key)} for key in _AROUND}


def scaled(app: App, replicas: Mapping[str, int], fleet: Fleet) -> App:
    """`app` with other counts. Raises UsageError for a service that it does not have or cannot have more of."""
    check_known(app, replicas)
    for name, count in replicas.items():
        if app.services[name].is_global:
            raise UsageError(
                f"{name} has one replica on each host", todo="deploy: {mode: replicated} has a number of them"
            )
        volume = writes_volume(app, app.services[name])
        if volume and count > 1 and not fleet.local:
            raise UsageError(f"{name} writes to the volume {volume}: one replica a volume", todo="scale what has none")
    changed = {n: app.services[n].model_copy(update={"replicas": count}) for n, count in replicas.items()}
    return app.model_copy(update={"services": {**app.services, **changed}})


def _replicas(app: App) -> dict[str, int]:
    return {name: service.replicas for name, service in app.services.items()}
