"""What every lock gives: one suite for the one in memory, and for containers on engines in memory, of 20.10 and 26.1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import pytest

from bayplan.container import Container
from bayplan.engines.docker import DockerEngine
from bayplan.engines.lock import EngineLock
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_hub import MemoryHub
from bayplan.engines.memory_lock import MemoryHold, MemoryLock
from bayplan.errors import LockedError
from bayplan.hosts import reach_for
from bayplan.lab import Lab
from bayplan.plan.names import lock_name
from bayplan.ports import Claim, Engine, Hold, Lock
from bayplan.spec.model import Host, Ssh
from bayplan.wiring import SystemClock

IMAGE = "haproxy:3.0"
FLEET = "contract"
EVER = float("inf")
FEW = 30.0  # seconds for a condition to come true


@dataclass
class Ground:
    """operator: the lock as one more process would see it."""

    operator: Callable[[], Lock]
    engines: Mapping[str, Engine]

    async def lose(self, hold: Hold) -> None:
        """What an engine that is shut down, or a person, does to a lock."""
        if isinstance(hold, MemoryHold):
            await hold.lose()
        for engine in self.engines.values():
            await engine.remove(lock_name(FLEET), 0)


def over_ssh(lab: Lab) -> dict[str, Engine]:
    hosts = [Host(name=m.name, address=f"ssh://deploy@{m.private_ip}", private_ip=m.private_ip) for m in lab.hosts]
    return {h.name: DockerEngine(reach_for(h, Ssh(config_file=str(lab.ssh_config)))) for h in hosts}


@pytest.fixture(params=["memory", "engines in memory", "20.10 on three hosts", "26.1 on one"])
async def ground(request: pytest.FixtureRequest) -> AsyncIterator[Ground]:
    match request.param:
        case "memory":
            only = MemoryLock()
            yield Ground(lambda: only, {})
            return
        case "engines in memory":
            engines: dict[str, Engine] = {n: MemoryEngine(n, MemoryHub(IMAGE)) for n in ("h1", "h2", "h3")}
        case "20.10 on three hosts":
            engines = over_ssh(request.getfixturevalue("lab"))
        case _:
            engines = over_ssh(request.getfixturevalue("modern"))
    yield Ground(lambda: EngineLock(FLEET, IMAGE, engines, SystemClock()), engines)
    async with asyncio.timeout(FEW):
        await asyncio.gather(*(engine.until_removed(lock_name(FLEET)) for engine in engines.values()))
    await asyncio.gather(*(engine.close() for engine in engines.values()))


def claim(by: str = "ann@laptop", doing: str = "up shop") -> Claim:
    return Claim(by, doing, time.time())


async def take(lock: Lock, by: str = "ann@laptop", *, patience: float = 0.0) -> Hold:
    return await lock.take(claim(by), patience=patience, gone=frozenset(), say=lambda _: None)


async def test_a_free_lock_is_ours_at_once_and_the_next_one_s_when_it_is_given_back(ground: Ground) -> None:
    for by in ("ann", "bob", "ann"):
        hold = await take(ground.operator(), by, patience=FEW)
        await hold.release()


async def test_the_loser_is_told_who_does_what_since_when(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayplan.engines.lock.DYING", 0.5)
    monkeypatch.setattr("bayplan.engines.memory_lock.DYING", 0.5)
    hold = await take(ground.operator(), "ann@laptop")
    assert hold.was_free
    with pytest.raises(LockedError, match=r"ann@laptop: up shop, since \d\d:\d\d:\d\d \(.* s ago\)"):
        await take(ground.operator(), "bob")
    await hold.release()


async def test_who_waits_gets_it_when_it_is_given_back(ground: Ground) -> None:
    hold, waits, said = await take(ground.operator(), "ann"), asyncio.Event(), list[str]()
    waiting = asyncio.create_task(
        ground.operator().take(
            claim("bob"), patience=EVER, gone=frozenset(), say=lambda text: (said.append(text), waits.set())
        )
    )
    async with asyncio.timeout(FEW):
        await waits.wait()
    assert "waits for ann: up shop" in said[0]
    assert not waiting.done()
    await hold.release()
    async with asyncio.timeout(FEW):
        second = await waiting
    assert not second.was_free
    await second.release()


async def test_one_that_has_ended_and_was_not_removed_is_in_nobody_s_way(ground: Ground) -> None:
    """As an engine leaves it that cannot remove what is still mounted somewhere."""
    over = Container(lock_name(FLEET), IMAGE, entrypoint=("/bin/sleep", "60"), network="host")
    for engine in ground.engines.values():
        await engine.pull(IMAGE, lambda _: None)
        await engine.run(over)
        await engine.stop(over.name, 0)
    await (await take(ground.operator())).release()
    for engine in ground.engines.values():  # a host more than are needed was not asked
        await engine.remove(over.name, 0)


async def test_of_many_that_race_one_has_it_at_a_time_and_all_have_it_once(ground: Ground) -> None:
    inside, most, had = 0, 0, 0

    async def work() -> None:
        nonlocal inside, most, had
        hold = await take(ground.operator(), patience=EVER)
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        had += 1
        await hold.release()

    async with asyncio.timeout(10 * FEW):
        await asyncio.gather(*(work() for _ in range(8)))
    assert (most, had) == (1, 8)


async def test_who_gives_up_waiting_leaves_nothing(ground: Ground) -> None:
    hold = await take(ground.operator())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await take(ground.operator(), "bob", patience=EVER)
    await hold.release()
    await (await take(ground.operator(), "cid", patience=FEW)).release()


async def test_a_lock_that_is_taken_away_is_told_to_its_holder(ground: Ground) -> None:
    hold = await take(ground.operator())
    await ground.lose(hold)
    async with asyncio.timeout(FEW):
        assert "lost" in (await hold.until_lost()).what
    await hold.release()
    await (await take(ground.operator(), "bob", patience=FEW)).release()
