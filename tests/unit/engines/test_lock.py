"""How many hosts the lock needs, and what becomes of those that fail: on engines in memory, in virtual time."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from tests.virtual_time import VirtualClock, run

from bayplan.container import Container
from bayplan.engines.ballot import read_claim
from bayplan.engines.hold import ANSWER, BEAT, PATIENCE, START
from bayplan.engines.lock import DYING, MAKE_UP, STUCK, EngineLock, describe
from bayplan.engines.lock_hold import LATER
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_container import MemoryHeld
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import HostRefusedError, LockedError, NoMajorityError
from bayplan.plan.names import lock_name
from bayplan.ports import Claim, HeldContainer, Hold

IMAGE, NAME = "haproxy:3.2", lock_name("t")
CLAIM = Claim("ann@laptop", "up shop", 1000.0)


def test_a_holder_whose_clock_is_ahead_is_not_told_to_have_begun_this_moment() -> None:
    now = time.time()
    assert re.search(r"^ann: up, since [\d:]+ \(60 s ago\)$", describe(Claim("ann", "up", now - 60)))
    assert describe(Claim("ann", "up", now + 3600)).endswith(
        "(by its clock, which is 60 min or more ahead of this machine's)"
    )


class Refusing(MemoryEngine):
    """Of a host that lets nobody in."""

    async def hold(self, container: Container) -> HeldContainer:  # noqa: ARG002
        raise HostRefusedError("its key is another", where=self.host, todo="make sure")


class World:
    """Engines h1, h2, … and the lock as any process sees it."""

    def __init__(self, hosts: int) -> None:
        self.engines = {f"h{n}": MemoryEngine(f"h{n}", MemoryHub(IMAGE)) for n in range(1, hosts + 1)}
        self.said: list[str] = []

    async def take(self, by: str = "ann@laptop", *, patience: float = 0.0, gone: tuple[str, ...] = ()) -> Hold:
        lock = EngineLock("t", IMAGE, self.engines, VirtualClock())
        claim = Claim(by, CLAIM.doing, CLAIM.at)
        return await lock.take(claim, patience=patience, gone=frozenset(gone), say=self.said.append)

    def silence(self, *hosts: str) -> None:
        for host in hosts:
            self.engines[host].answers = False

    async def holders(self) -> dict[str, str]:
        """By host, of those that answer."""
        found: dict[str, str] = {}
        for name, engine in self.engines.items():
            if engine.answers and NAME in engine._containers:
                claim = read_claim((await engine.inspect(NAME))["Config"]["Labels"])
                found[name] = claim.by if claim else "?"
        return found


@pytest.mark.parametrize(
    ("hosts", "silent", "gone"),
    [
        (1, (), ()),
        (2, ("h2",), ()),  # of two, the first decides
        (2, ("h1",), ("h1",)),
        (3, ("h1",), ()),
        (4, ("h4",), ()),
        (5, ("h1", "h3"), ()),
        (5, ("h1", "h2", "h3"), ("h1", "h2")),
    ],
)
def test_most_of_the_hosts_are_enough(hosts: int, silent: tuple[str, ...], gone: tuple[str, ...]) -> None:
    async def story() -> None:
        world = World(hosts)
        world.silence(*silent)
        hold = await world.take(gone=gone)
        with pytest.raises(LockedError):
            await world.take("bob", gone=gone)
        await hold.release()
        assert await world.holders() == {}

    run(story())


@pytest.mark.parametrize(
    ("hosts", "silent", "gone", "said"),
    [
        (1, ("h1",), (), "h1 must answer"),
        (2, ("h1",), (), "h1 must answer"),
        (3, ("h1", "h3"), (), "2 of 3 hosts must answer .* 1 did"),
        (4, ("h1", "h2"), (), "3 of 4 hosts must answer .* 2 did"),
        (5, ("h1", "h2", "h3"), ("h1",), "3 of 4 hosts must answer"),
    ],
)
def test_fewer_are_not_and_who_is_silent_is_told(
    hosts: int, silent: tuple[str, ...], gone: tuple[str, ...], said: str
) -> None:
    async def story() -> dict[str, str]:
        world = World(hosts)
        world.silence(*silent)
        with pytest.raises(NoMajorityError, match=said) as told:
            await world.take(gone=gone)
        assert all(f"{h}: " in told.value.todo and f"--assume-down {h}" in told.value.todo for h in {*silent} - {*gone})
        return await world.holders()

    assert run(story()) == {}


def test_hosts_that_let_us_not_in_are_not_said_to_be_gone() -> None:
    async def story() -> NoMajorityError:
        world = World(3)
        for name in ("h1", "h2"):
            world.engines[name] = Refusing(name, MemoryHub(IMAGE))
        world.silence("h3")
        with pytest.raises(NoMajorityError) as told:
            await world.take()
        return told.value

    told = run(story())
    assert "h1: its key is another\n    make sure" in told.todo
    assert told.todo.endswith("--assume-down h3")


def test_hosts_that_answer_and_cannot_have_its_image_are_not_said_to_be_silent() -> None:
    """A registry that is not reached was told as hosts that do not answer, and --assume-down was offered for them."""

    async def story() -> NoMajorityError:
        world = World(3)
        for name in ("h1", "h2"):
            world.engines[name] = MemoryEngine(name, MemoryHub())
        with pytest.raises(NoMajorityError) as told:
            await world.take()
        assert await world.holders() == {}
        return told.value

    told = run(story())
    assert "2 of 3 hosts must hold the lock" in told.what
    assert "1 can" in told.what
    assert "h1: there is no image haproxy:3.2" in told.todo
    assert "gateway: {image: …} in fleet.yaml" in told.todo
    assert "assume-down" not in told.todo


def _fails(world: World, host: str, *, silent: bool) -> None:
    """Its container ends; silent: with the host."""
    there = world.engines[host]._containers[NAME]
    world.engines[host].answers = not silent
    if not silent:
        del world.engines[host]._containers[NAME]
    there.gone.set()


def test_a_run_of_some_seconds_starts_it_on_one_host_only() -> None:
    async def story() -> list[int]:
        world, counts = World(3), list[int]()
        hold = await world.take()
        for seconds in (4.9, 0.2):
            await asyncio.sleep(seconds)
            there = [await world.engines[host].inspect(NAME) for host in await world.holders()]
            counts.append(sum(one["State"]["Status"] == "running" for one in there))
        await hold.release()
        return counts

    assert run(story()) == [1, 2]


def test_what_a_silent_host_had_is_nobody_s_while_another_host_is_looked_for() -> None:
    assert BEAT + ANSWER + MAKE_UP < PATIENCE
    assert START + MAKE_UP < PATIENCE
    assert LATER + START + MAKE_UP < STUCK


@pytest.mark.parametrize("first", ["h1", "h2"])
def test_another_host_makes_up_for_one_that_falls_silent(first: str) -> None:
    async def story() -> str:
        world = World(3)
        hold = await world.take()
        assert await world.holders() == {"h1": "ann@laptop", "h2": "ann@laptop"}
        losing = asyncio.create_task(hold.until_lost())
        await asyncio.sleep(LATER + 1)
        _fails(world, first, silent=True)
        await asyncio.sleep(1)
        assert not losing.done()
        with pytest.raises(LockedError):
            await world.take("bob")
        _fails(world, "h3", silent=True)
        error = await losing
        await hold.release()
        assert await world.holders() == {}
        return error.what

    assert f"{first}: its container is gone; h3: its container is gone" in run(story())


def test_nobody_makes_up_for_one_that_may_be_another_s() -> None:
    async def story() -> str:
        world = World(3)
        hold = await world.take()
        _fails(world, "h1", silent=False)
        error = await hold.until_lost()
        await hold.release()
        assert await world.holders() == {}
        return error.what

    assert "h1: its container is gone" in run(story())


def test_one_that_nobody_can_watch_any_more_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def live(_: MemoryHeld) -> None:
        raise AssertionError("the library's")

    monkeypatch.setattr(MemoryHeld, "live", live)

    async def story() -> str:
        hold = await World(1).take()
        async with asyncio.timeout(60):
            error = await hold.until_lost()
        await hold.release()
        return error.what

    assert "the library's" in run(story())


def test_whoever_was_hung_itself_finds_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryHeld, "is_sure", property(lambda _: False))

    async def story() -> None:
        world = World(3)
        hold = await world.take()
        _fails(world, "h1", silent=True)
        assert "h3" not in (await hold.until_lost()).what
        assert "h3" not in await world.holders()  # at once: nothing was looked for first
        await hold.release()
        assert await world.holders() == {}

    run(story())


@pytest.mark.parametrize("bob", [True, False])
def test_two_that_fall_silent_at_once_are_both_made_up_for_where_hosts_are_free(bob: bool) -> None:
    async def story() -> bool:
        world = World(5)
        hold = await world.take()
        others = [h for h in world.engines if h not in await world.holders()]
        if bob:
            await world.engines[others[0]].pull(IMAGE, lambda _: None)
            await world.engines[others[0]].run(Container(NAME, IMAGE))
        losing = asyncio.create_task(hold.until_lost())
        await asyncio.sleep(LATER + 1)
        _fails(world, "h1", silent=True)
        _fails(world, "h2", silent=True)
        await asyncio.sleep(MAKE_UP + 1)
        is_lost = losing.done()
        losing.cancel()
        await hold.release()
        return is_lost

    assert run(story()) is bob


def test_one_that_was_created_and_never_started_is_removed_after_a_while() -> None:
    async def story() -> float:
        world = World(1)
        await world.engines["h1"].pull(IMAGE, lambda _: None)
        dead = await _killed_before_the_start(world)
        began = asyncio.get_running_loop().time()
        hold = await world.take("bob")
        assert dead.container.gone.is_set()
        await hold.release()
        return asyncio.get_running_loop().time() - began

    assert STUCK <= run(story()) < STUCK + DYING


def test_one_that_never_started_is_removed_however_long_the_first_answer_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a connection that is yet to be made: whoever asked was refused just before it was old enough."""

    async def story() -> None:
        world = World(1)
        await world.engines["h1"].pull(IMAGE, lambda _: None)
        await _killed_before_the_start(world)
        asked, connects = MemoryEngine.hold, [5.0]

        async def slow_at_first(engine: MemoryEngine, container: Container) -> MemoryHeld:
            await asyncio.sleep(connects.pop() if connects else 0)
            return await asked(engine, container)

        monkeypatch.setattr(MemoryEngine, "hold", slow_at_first)
        await (await world.take("bob")).release()
        assert await world.holders() == {}

    run(story())


async def _killed_before_the_start(world: World) -> Any:
    return await world.engines["h1"].hold(Container(NAME, IMAGE))


def test_one_that_never_ran_on_a_host_that_was_not_asked_is_removed_by_the_next_holder() -> None:
    async def story() -> None:
        world = World(3)
        await world.engines["h3"].pull(IMAGE, lambda _: None)
        dead = await world.engines["h3"].hold(Container(NAME, IMAGE))
        hold = await world.take("bob")
        await asyncio.sleep(0.1)
        assert dead.container.gone.is_set()  # type: ignore[attr-defined]
        await hold.release()
        assert await world.holders() == {}

    run(story())


def test_a_host_without_the_image_fetches_it_for_the_lock() -> None:
    async def story() -> list[str]:
        world = World(1)
        await (await world.take()).release()
        await (await world.take()).release()
        return world.said

    assert run(story()) == [f"h1: fetches {IMAGE}, for the lock"]


def test_a_holder_that_dies_meanwhile_is_not_in_the_way() -> None:
    async def story() -> None:
        world = World(3)
        hold = await world.take()
        loop = asyncio.get_running_loop()
        dying = loop.call_later(DYING / 2, lambda: loop.create_task(hold.release()))
        await (await world.take("bob")).release()
        assert dying.when() <= loop.time()

    run(story())


def test_labels_that_say_nothing_are_nobody_s() -> None:
    assert read_claim({}) is None
    assert read_claim({"bayplan.lock.by": "a", "bayplan.lock.doing": "b", "bayplan.lock.at": "x"}) is None


def test_one_that_never_ran_is_passed_over_where_another_host_makes_up_for_it_and_removed() -> None:
    async def story() -> None:
        world = World(3)
        await world.engines["h2"].pull(IMAGE, lambda _: None)
        dead = await world.engines["h2"].hold(Container(NAME, IMAGE))
        began = asyncio.get_running_loop().time()
        hold = await world.take("bob")
        assert asyncio.get_running_loop().time() - began < DYING
        await asyncio.sleep(1)
        assert dead.container.gone.is_set()  # type: ignore[attr-defined]
        assert await world.holders() == {"h1": "bob", "h3": "bob"}
        await hold.release()

    run(story())


@pytest.mark.parametrize("kept", [("h1",), ("h3",), ("h1", "h2")])
def test_one_host_that_keeps_what_was_let_go_elsewhere_refuses_nobody(kept: tuple[str, ...]) -> None:
    """As one does that was silent when it was let go, until the container there misses its holder."""

    async def story() -> dict[str, str]:
        world = World(3)
        living: list[asyncio.Task[None]] = []
        for host in kept:
            await world.engines[host].pull(IMAGE, lambda _: None)
            left = await world.engines[host].hold(Container(NAME, IMAGE))
            living.append(asyncio.create_task(left.live()))
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        try:
            hold = await world.take("bob")
        finally:
            assert asyncio.get_running_loop().time() - began < DYING + 1
            for task in living:
                task.cancel()
            await asyncio.gather(*living, return_exceptions=True)
        held = await world.holders()
        await hold.release()
        return {host: by for host, by in held.items() if host not in kept}

    if len(kept) > 1:
        with pytest.raises(LockedError):
            run(story())
    else:
        assert set(run(story()).values()) == {"bob"}
