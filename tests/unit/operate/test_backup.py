"""What stands still for a backup and goes on after it, and what a restore makes of a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from tests.given import IMAGE, fleet, service
from tests.memory_fleet import MemoryFleet

from bayplan.container import Container, Mounted
from bayplan.engines.memory import MemoryEngine
from bayplan.errors import BayplanError, EngineError, HostUnreachableError, UsageError
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.backup import backup, restore
from bayplan.operate.volume_data import opened
from bayplan.plan.goal import Goal
from bayplan.plan.replica import replica_container
from bayplan.ports import ExecResult, FleetPorts, Release
from bayplan.spec.model import App
from bayplan.spec.storage import Mount, Volume
from bayplan.store import OciReleases

MOUNT = Mount(kind="volume", source="data", target="/data")
DB = service("db", ports=(), mounts=(MOUNT,))
SHOP = App(name="shop", services={"db": DB}, volumes={"data": Volume(name="shop_data")})


class World:
    """A host with a volume, its app's replica, and a stranger that mounts it."""

    def __init__(self) -> None:
        memory = MemoryFleet(fleet("h1"))
        self.engine: MemoryEngine = memory.engines["h1"].inner
        self.ports: FleetPorts = replace(
            memory.ports, engines={"h1": self.engine}, releases=OciReleases(MemoryRegistry())
        )

    async def begin(self) -> World:
        fleet = self.ports.fleet
        made = replica_container(Goal(fleet, SHOP, 1), DB, 1, fleet.hosts["h1"], (), "")
        for image in (IMAGE, fleet.gateway_image):
            await self.engine.pull(image, lambda _: None)
        await self.engine.run(replace(made, name="shop-db-1-r1", image=IMAGE, network=""))
        await self.engine.run(Container("stranger", IMAGE, mounts=(Mounted(MOUNT, "shop_data"),)))
        await self.ports.releases.put(Release(1, "shop", SHOP.model_dump_json(), "ann", 0.0, "up"))
        return self

    async def back_up(self, file: Path, *, live: bool = False) -> None:
        await backup(self.ports, "shop", "data", file, lambda *_: None, live=live)

    def states(self) -> list[str]:
        return [self.engine._container(name).state for name in ("shop-db-1-r1", "stranger")]


def files(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_what_a_killed_backup_left_paused_goes_on_and_a_stranger_s_container_does_not(tmp_path: Path) -> None:
    world = await World().begin()
    for name in ("shop-db-1-r1", "stranger"):
        await world.engine.pause(name)
    await world.back_up(tmp_path / "data.tar")
    assert world.states() == ["running", "paused"]


async def test_what_another_backup_paused_that_still_goes_on_stays_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayplan.operate.volume_data.DYING", 0.05)
    world = await World().begin()
    await world.engine.pause("shop-db-1-r1")
    async with opened(world.ports, "h1", Mounted(MOUNT, "shop_data")):
        await world.back_up(tmp_path / "data.tar", live=True)
        assert world.states() == ["paused", "running"]


async def test_what_another_backup_froze_may_go_on_at_any_moment_so_a_second_one_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayplan.operate.volume_data.DYING", 0.05)
    world = await World().begin()
    read, reading, go_on = world.engine.read_tree, asyncio.Event(), asyncio.Event()

    async def slow(name: str, path: str) -> AsyncGenerator[bytes]:
        reading.set()
        await go_on.wait()
        async for chunk in read(name, path):
            yield chunk

    world.engine.read_tree = slow  # type: ignore[method-assign]
    first = asyncio.create_task(world.back_up(tmp_path / "one.tar"))
    await reading.wait()
    assert world.states() == ["paused", "paused"]
    with pytest.raises(UsageError, match="shop_data on h1 is being copied by another bayplan"):
        async with asyncio.timeout(5):
            await world.back_up(tmp_path / "two.tar")
    go_on.set()
    await first
    assert world.states() == ["running", "running"]
    assert not (tmp_path / "two.tar").exists()


async def test_what_cannot_go_on_keeps_nothing_else_frozen(tmp_path: Path) -> None:
    world = await World().begin()
    start = world.engine.start

    async def stubborn(name: str) -> None:
        if name == "shop-db-1-r1":
            raise EngineError("no such process", where="h1")
        await start(name)

    world.engine.start = stubborn  # type: ignore[method-assign]
    with pytest.raises(BayplanError, match="shop-db-1-r1 stands frozen: no such process"):
        await world.back_up(tmp_path / "data.tar")
    assert world.states() == ["paused", "running"]


async def test_what_is_frozen_as_the_backup_is_interrupted_goes_on(tmp_path: Path) -> None:
    """An engine does what it was asked for, though nobody waits for its answer any more."""
    world = await World().begin()
    pause, pausing = world.engine.pause, asyncio.Event()

    async def slow(name: str) -> None:
        async def goes_on() -> None:
            await asyncio.sleep(0.05)
            await pause(name)

        pausing.set()
        await asyncio.shield(asyncio.create_task(goes_on()))

    world.engine.pause = slow  # type: ignore[method-assign]
    backing_up = asyncio.create_task(world.back_up(tmp_path / "data.tar"))
    await pausing.wait()
    backing_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await backing_up
    await asyncio.sleep(0.2)
    assert world.states() == ["running", "running"]


async def test_what_went_on_meanwhile_makes_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().begin()
    reading = world.engine.read_tree

    async def read_tree(name: str, path: str) -> AsyncIterator[bytes]:
        async for chunk in reading(name, path):
            await world.engine.start("shop-db-1-r1")  # as `up` does
            yield chunk

    monkeypatch.setattr(world.engine, "read_tree", read_tree)
    with pytest.raises(BayplanError, match="shop-db-1-r1 did not stand still"):
        await world.back_up(tmp_path / "data.tar")
    assert world.states() == ["running", "running"]
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["data.tar.gz", "data.tar.bz2", "data.tar.xz"])
async def test_a_packed_file_that_ends_too_soon_is_told_whatever_the_engine_makes_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, file = await World().begin(), tmp_path / name
    await world.back_up(file)
    file.write_bytes(file.read_bytes()[:-9])
    (tmp_path / f"{name}.sha256").unlink()
    for container in ("shop-db-1-r1", "stranger"):
        await world.engine.remove(container, 0)
    await world.engine.remove_volume("shop_data")

    async def write_tree(_: object, __: str, ___: str, tar: AsyncIterator[bytes]) -> None:
        try:
            [_ async for _ in tar]
        except BayplanError as error:  # as aiohttp does with what a body raises
            raise HostUnreachableError("the connection broke", where="h1") from error

    monkeypatch.setattr(MemoryEngine, "write_tree", write_tree)
    with pytest.raises(BayplanError, match=rf"{name} cannot be unpacked: .*; nothing was restored"):
        await restore(world.ports, "shop", "data", file, "h1", lambda *_: None)
    assert "shop_data" not in {v.name for v in await world.engine.volumes()}


@pytest.mark.parametrize("status", [0, 1])
async def test_what_is_restored_counts_once_its_disk_has_it(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, file, there = await World().begin(), tmp_path / "data.tar", list[set[str]]()
    await world.back_up(file)
    for container in ("shop-db-1-r1", "stranger"):
        await world.engine.remove(container, 0)
    await world.engine.remove_volume("shop_data")

    async def run_sync(engine: MemoryEngine, name: str, argv: Sequence[str], **_: object) -> ExecResult:
        assert engine._container(name).state == "running"
        assert "sync" in argv[2]
        there.append({v.name for v in await engine.volumes()})
        return ExecResult(status, b"sync: error syncing '/volume': Input/output error")

    monkeypatch.setattr(MemoryEngine, "exec", run_sync)
    with pytest.raises(EngineError, match=r"cannot be kept on its disk: .*error$") if status else nullcontext():
        await restore(world.ports, "shop", "data", file, "h1", lambda *_: None)
    assert there == [{"shop_data", "shop_data.unfinished"}]
    assert {v.name for v in await world.engine.volumes()} == (set() if status else {"shop_data"})
