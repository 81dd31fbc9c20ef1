"""The releases of an app: which there are, what changed from one to the next, and which cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bayplan.errors import RegistryError, UsageError
from bayplan.operate.diff import changes, summary
from bayplan.operate.release import ELSEWHERE, LOST, readable, spec_of
from bayplan.ports import Release, Releases


@dataclass(frozen=True, slots=True)
class Entry:
    """One number. release None: it cannot be read, and unread says why. changes: from the one before, in few words;
    None where there is none that can be read.
    """

    number: int
    release: Release | None
    unread: str = ""
    changes: tuple[str, ...] | None = None


async def history(releases: Releases, app: str, last: int | None = None) -> tuple[Entry, ...]:
    """The newest first. last: so many. Numbers that are missing in between are told of. Raises UsageError."""
    numbers = await _numbers(releases, app)
    there = set(numbers)
    first = numbers[0] if last is None else max(numbers[0], numbers[-1] - last)  # one more, to compare with
    wanted = range(first, numbers[-1] + 1)
    read = await asyncio.gather(*(_entry(releases, app, n, is_there=n in there) for n in wanted))
    told = list(_compared(read))
    return tuple(reversed(told if last is None else told[-last:]))


async def release(releases: Releases, app: str, number: int) -> Release:
    """One of them. Raises UsageError for one that never was, RegistryError for one that cannot be read."""
    numbers = await _numbers(releases, app)
    if number in range(1, numbers[-1] + 1):
        return await readable(releases, app, number)
    raise UsageError(f"{app} has no release {number}", todo=f"the newest is {numbers[-1]}: bayplan history")


def as_json(entry: Entry) -> dict[str, Any]:
    """An element of `history --json`."""
    found = entry.release
    told: dict[str, Any] = {"release": entry.number, "unread": entry.unread}
    if found is None:
        return told | {"at": "", "by": "", "why": "", "commit": "", "dirty": False, "services": [], "changes": []}
    services = [{"service": s.name, "replicas": s.replicas, "image": s.image} for s in spec_of(found).services.values()]
    at = datetime.fromtimestamp(found.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    who = {"at": at, "by": found.by, "why": found.why}
    return told | who | asdict(found.source) | {"services": services, "changes": list(entry.changes or ())}


async def _numbers(releases: Releases, app: str) -> Sequence[int]:
    numbers = await releases.numbers(app)
    if not numbers:
        raise UsageError(f"the app {app} was never released on this fleet", todo="bring it up: bayplan up")
    return numbers


async def _entry(releases: Releases, app: str, number: int, *, is_there: bool) -> Entry:
    if not is_there:
        return Entry(number, None, unread=ELSEWHERE)
    try:
        found = await releases.get(app, number)
    except RegistryError as error:
        return Entry(number, None, unread=error.what)
    return Entry(number, found, unread="" if found else LOST)


def _compared(read: Iterable[Entry]) -> Iterator[Entry]:
    """Each with what changed from the one before that can be read."""
    before: Release | None = None
    for entry in read:
        now = entry.release
        yield replace(entry, changes=(*_of_app(before, now), *_of_stopped(before, now))) if before and now else entry
        before = now or before


def _of_app(before: Release, now: Release) -> tuple[str, ...]:
    return summary(changes(spec_of(before), spec_of(now)))


def _of_stopped(before: Release, now: Release) -> Iterator[str]:
    """Services that were stopped, or started again: nothing of what they are made of changes by that."""
    there = spec_of(now).services
    for name in sorted({*before.stopped} ^ {*now.stopped}):
        if name in there:
            yield f"{name}: {'stopped' if name in now.stopped else 'started'}"
