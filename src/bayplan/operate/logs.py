"""What an app's replicas write, all hosts' merged: what is there, sorted by time; then, as it comes.

Following has one watcher a host, which asks the engine again and again: a replica that appeared is read from its start;
one whose stream ended while it goes on (it was restarted, or the engine or the host went away and came back) is read on
from its last lines. So a rollout in another terminal, or a host that is lost, changes what comes and does not end it.

An engine notes the time of a line and then waits its turn to write it, for each of the two streams: the lines of one
replica are in order but for a few nanoseconds. So a few lines are held to be sorted, and a few are known to be skipped.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bayplan.converge.observe import see_engine
from bayplan.errors import BayplanError, DeadlineError, UsageError
from bayplan.facts import Facts, HostFacts, Replica
from bayplan.operate.ask import ask_all, check_services, replicas_of
from bayplan.ports import FleetPorts, LogLine

LOOK_EVERY = 1.0  # seconds between two looks at a host while following
GATHER = 0.1  # seconds that lines of different hosts wait for each other
LINE_DEADLINE = 20.0  # seconds for the next line of a log that is there already
_UNSORTED = 16  # lines of one replica within which an earlier one may come
_AT_ONCE = 500  # lines told together
_WAITING = 20_000  # lines that may wait to be told before reading pauses


@dataclass(frozen=True, slots=True)
class Line:
    """One line. time: RFC 3339, by the clock of its host."""

    replica: Replica
    stream: str
    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened to a host while its replicas were read."""

    host: str
    text: str


Item = Line | Notice
OnItems = Callable[[Sequence[Item]], None]
Recent = defaultdict[str, deque[tuple[str, str]]]  # id of a replica: time and stream of its last lines


@dataclass(frozen=True, slots=True)
class Wish:
    """What to read. services: none named are all. tail: last lines of each replica. since: RFC 3339; "" is all."""

    services: frozenset[str] = frozenset()
    tail: int | None = None
    since: str = ""


async def read(ports: FleetPorts, app: str, wish: Wish, on: OnItems) -> Facts:
    """What is there, sorted by time; the facts that it was read by.

    Raises NoHostError; UsageError for a service that is not known, and when nothing of the app runs.
    """
    facts = await ask_all(ports)
    await check_services(ports, facts, app, wish.services)
    replicas = replicas_of(facts, app, wish.services)
    silent = [Notice(h.name, h.silence) for h in facts.hosts.values() if not h.reachable]
    if not replicas and not silent:
        raise UsageError(f"nothing of the app {app} runs on this fleet", todo="bring it up first: bayplan up")
    on(silent)
    await _tell_merged([_history(ports, r, wish) for r in replicas], on)
    return facts


async def follow(ports: FleetPorts, app: str, wish: Wish, on: OnItems) -> None:
    """What is there, then what comes, until cancelled. Raises as `read` does, but for an app that is not up yet."""
    recent: Recent = defaultdict(lambda: deque(maxlen=2 * _UNSORTED))

    def told(items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, Line):
                recent[item.replica.id].append((item.time, item.stream))
        on(items)

    facts = await _read_if_up(ports, app, wish, told)
    waiting: asyncio.Queue[Item] = asyncio.Queue(_WAITING)
    watchers = [_Watcher(ports, app, seen, wish, waiting, recent) for seen in facts.hosts.values()]
    tasks = [asyncio.create_task(work) for work in (*(w.run() for w in watchers), _tell_in_batches(waiting, on))]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        done.pop().result()  # none of them ends by itself: one that did has failed
    finally:
        await _end(tasks)


async def _read_if_up(ports: FleetPorts, app: str, wish: Wish, on: OnItems) -> Facts:
    facts = await ask_all(ports)
    if not replicas_of(facts, app, wish.services) and all(h.reachable for h in facts.hosts.values()):
        await check_services(ports, facts, app, wish.services)
        return facts
    return await read(ports, app, wish, on)


async def _history(ports: FleetPorts, replica: Replica, wish: Wish) -> AsyncIterator[Item]:
    """One replica's lines, sorted; a host that fails meanwhile ends them with a notice."""
    lines = ports.engines[replica.host].logs(replica.name, tail=wish.tail, since=wish.since)
    held: list[tuple[str, int, LogLine]] = []
    count, wrong = itertools.count(), ""
    try:
        while line := await _next(lines):
            heapq.heappush(held, (line.time, next(count), line))
            if len(held) > _UNSORTED:
                yield _of(replica, heapq.heappop(held)[2])
    except BayplanError as error:
        wrong = error.what
    finally:
        await _let_go(lines)
    while held:
        yield _of(replica, heapq.heappop(held)[2])
    if wrong:
        yield Notice(replica.host, f"{replica.name}: {wrong}; the rest of its log is missing")


async def _next(lines: AsyncIterator[LogLine]) -> LogLine | None:
    """Raises DeadlineError."""
    try:
        async with asyncio.timeout(LINE_DEADLINE):
            return await anext(lines, None)
    except TimeoutError as late:
        raise DeadlineError(f"nothing for {LINE_DEADLINE:g} s") from late


def _of(replica: Replica, line: LogLine) -> Line:
    return Line(replica, line.stream, line.time, line.text)


async def _tell_merged(streams: Sequence[AsyncIterator[Item]], on: OnItems) -> None:
    """Streams that are each in order, as one. Let go of at the end, also when nobody reads any more."""
    try:
        batch: list[Item] = []
        async for item in _merged(streams):
            batch.append(item)
            if len(batch) == _AT_ONCE:
                on(batch)
                batch = []
        on(batch)
    finally:
        await _let_go(*streams)


async def _merged(streams: Sequence[AsyncIterator[Item]]) -> AsyncIterator[Item]:
    """Only the next line of each is held."""
    heads = await asyncio.gather(*(anext(s, None) for s in streams))
    heap = [(_time(head), index, head) for index, head in enumerate(heads) if head]
    heapq.heapify(heap)
    while heap:
        _, index, head = heap[0]
        yield head
        following = await anext(streams[index], None)
        if following:
            heapq.heapreplace(heap, (_time(following), index, following))
        else:
            heapq.heappop(heap)


async def _let_go(*streams: AsyncIterator[Any]) -> None:
    """Close the connections of what is not read to its end, while they can still be closed in order."""
    for stream in streams:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def _time(item: Item) -> str:
    """RFC 3339 in UTC with nine digits, as engines write it, sorts as text."""
    return item.time if isinstance(item, Line) else ""


async def _tell_in_batches(waiting: asyncio.Queue[Item], on: OnItems) -> None:
    """Lines that come within a moment, sorted by time."""
    while True:
        batch = [await waiting.get()]
        await asyncio.sleep(GATHER)
        while not waiting.empty():
            batch.append(waiting.get_nowait())
        on(sorted(batch, key=_time))


@dataclass(slots=True)
class _Watcher:
    """Follows the replicas of one host. before: the facts that logs were read by."""

    ports: FleetPorts
    app: str
    before: HostFacts
    wish: Wish
    waiting: asyncio.Queue[Item]
    recent: Recent
    reading: dict[str, tuple[str, asyncio.Task[None]]] = field(default_factory=dict)  # id: state it began in, task
    said: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Until cancelled."""
        answered = self.before.reachable
        try:
            while True:
                seen = await see_engine(self.ports, self.before.name)
                await self._look(seen, answered=answered)
                answered = seen.reachable
                await self.ports.clock.sleep(LOOK_EVERY)
        finally:
            await _end([task for _, task in self.reading.values()])

    async def _look(self, seen: HostFacts, *, answered: bool) -> None:
        if seen.reachable:
            if not answered:
                await self._say("answers again")
            for replica in replicas_of(Facts({seen.name: seen}), self.app, self.wish.services):
                self._read_on(replica)
        elif answered:
            await self._say(f"{seen.silence}; going on with the others")
            await _end([task for _, task in self.reading.values()])

    def _read_on(self, replica: Replica) -> None:
        """Unless it is being read, or has said all that it will say in the state that it is in."""
        state, task = self.reading.get(replica.id, ("", None))
        if task and (not task.done() or (state == replica.state and state not in ("running", "restarting"))):
            return
        self.reading[replica.id] = (replica.state, asyncio.create_task(self._read(replica)))

    async def _read(self, replica: Replica) -> None:
        wish, known = self._from(replica), frozenset(self.recent[replica.id])
        lines = self.ports.engines[replica.host].logs(replica.name, tail=wish.tail, follow=True, since=wish.since)
        try:
            async for line in lines:
                if (line.time, line.stream) not in known:
                    await self._told(replica, line)
        except BayplanError as error:
            if error.what not in self.said:
                self.said.add(error.what)
                await self._say(f"{replica.name}: {error.what}")
        finally:
            await _let_go(lines)

    def _from(self, replica: Replica) -> Wish:
        """From its last lines; else as wished if it was there at first; else from its start."""
        if last := list(self.recent[replica.id])[-_UNSORTED:]:
            return replace(self.wish, tail=None, since=min(last)[0])
        return self.wish if any(r.id == replica.id for r in self.before.engine.replicas) else Wish()

    async def _told(self, replica: Replica, line: LogLine) -> None:
        self.recent[replica.id].append((line.time, line.stream))
        await self.waiting.put(_of(replica, line))

    async def _say(self, text: str) -> None:
        await self.waiting.put(Notice(self.before.name, text))


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
