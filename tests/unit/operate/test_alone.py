"""Work that is done while the lock is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.given import fleet
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan.converge.sight import Sight
from bayplan.engines.memory_lock import MemoryHold, MemoryLock
from bayplan.errors import LockedError, LockLostError, NoHostError, PortTakenError
from bayplan.facts import Facts
from bayplan.gateways.memory import MemoryGateway
from bayplan.operate.alone import alone
from bayplan.operate.events import Event, Stage
from bayplan.ports import Claim

Work = Callable[[Sight], Coroutine[Any, Any, str]]


class World:
    def __init__(self) -> None:
        self.memory = MemoryFleet(fleet("h1", "h2"))
        self.events: list[Event] = []
        lock = self.memory.ports.lock
        assert isinstance(lock, MemoryLock)
        self.lock = lock

    async def alone(self, work: Work, patience: float = 0.0) -> str:
        return await alone(self.memory.ports, "up shop", work, self.events.append, patience=patience)

    async def other(self) -> MemoryHold:
        hold = await self.lock.take(Claim("bob", "scale", 0), patience=0, gone=frozenset(), say=lambda _: None)
        assert isinstance(hold, MemoryHold)
        return hold


async def done(sight: Sight) -> str:
    return ", ".join((await sight.look()).hosts)


def test_it_is_ours_while_the_work_is_done_and_nobody_s_after() -> None:
    world = World()

    async def work(_: Sight) -> str:
        return world.lock.holder.claim.doing if world.lock.holder else ""

    assert run(world.alone(work)) == "up shop"
    assert world.lock.holder is None


def test_what_gateways_are_yet_to_write_is_written_before_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world, held = World(), list[bool]()

    async def close(_: MemoryGateway) -> None:
        held.append(world.lock.holder is not None)

    monkeypatch.setattr(MemoryGateway, "close", close)
    run(world.alone(done))
    assert held == [True, True]


def test_what_another_has_is_refused_and_the_work_not_begun() -> None:
    world = World()

    async def story() -> None:
        await world.other()
        with pytest.raises(LockedError, match="bob: scale"):
            await world.alone(done)

    run(story())


def test_hosts_are_what_is_waited_for_once_it_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that fetched what it votes with was told to do that, for as long as it was made ready."""
    world = World()
    take = world.lock.take

    async def fetching(
        claim: Claim, *, patience: float, gone: frozenset[str], say: Callable[[str], None]
    ) -> MemoryHold:
        say("h1: fetches haproxy, for the lock")
        asyncio.get_running_loop().call_later(1.0, say, "h2: fetches haproxy, for the lock")
        return await take(claim, patience=patience, gone=gone, say=say)

    async def work(_: Sight) -> str:
        await asyncio.sleep(2.0)
        return ""

    monkeypatch.setattr(world.lock, "take", fetching)
    run(world.alone(work))
    assert world.events == [Stage("lock", "h1: fetches haproxy, for the lock"), Stage("hosts", "hosts")]


def test_the_fleet_is_looked_at_again_when_another_had_it() -> None:
    world = World()

    async def story() -> int:
        hold = await world.other()
        asyncio.get_running_loop().call_later(60, lambda: asyncio.ensure_future(hold.release()))
        await world.alone(done, patience=float("inf"))
        return world.memory.engines["h1"].done["observe"]

    assert run(story()) >= 2


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
def test_work_that_fails_gives_it_back(error: BaseException) -> None:
    world = World()

    async def work(_: Sight) -> str:
        raise error

    async def story() -> None:
        with pytest.raises(type(error)):
            await world.alone(work)

    run(story())
    assert world.lock.holder is None


def test_work_is_ended_when_the_lock_is_lost() -> None:
    world, ended = World(), asyncio.Event()

    async def work(_: Sight) -> str:
        assert world.lock.holder
        asyncio.get_running_loop().call_later(1, lambda: asyncio.ensure_future(lost()))
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return ""

    async def lost() -> None:
        assert world.lock.holder
        await world.lock.holder.lose()

    async def story() -> None:
        with pytest.raises(LockLostError):
            await world.alone(work)

    run(story())
    assert ended.is_set()


def test_a_fleet_that_does_not_answer_is_what_is_told_and_nothing_is_held() -> None:
    world = World()
    for engine in world.memory.engines.values():
        engine.inner.answers = False
    with pytest.raises(NoHostError):
        run(world.alone(done))
    assert world.lock.holder is None


def test_nothing_is_done_where_another_s_registry_would_be_taken_for_the_fleet_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()

    async def check(_: object, facts: Facts) -> None:
        raise PortTakenError(f"port 5000 of {', '.join(facts.hosts)} is taken")

    monkeypatch.setattr("bayplan.operate.alone.registry_door.check", check)
    with pytest.raises(PortTakenError, match="port 5000 of h1, h2 is taken"):
        run(world.alone(done))
    assert world.lock.holder is None
