"""The file of a backup on this machine, and what stood still for it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import stat
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
from bayplan.operate.backup import _check_file, _read, _written, backup, is_planted, restore
from bayplan.operate.volumes import opened
from bayplan.plan.goal import Goal
from bayplan.plan.replica import replica_container
from bayplan.ports import ExecResult, FleetPorts, Release
from bayplan.spec.model import App
from bayplan.spec.storage import Mount, Volume
from bayplan.store import OciReleases

DATA = b"data" * 1000
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
    monkeypatch.setattr("bayplan.operate.volumes.DYING", 0.05)
    world = await World().begin()
    await world.engine.pause("shop-db-1-r1")
    async with opened(world.ports, "h1", Mounted(MOUNT, "shop_data")):
        await world.back_up(tmp_path / "data.tar", live=True)
        assert world.states() == ["paused", "running"]


async def test_what_another_backup_froze_may_go_on_at_any_moment_so_a_second_one_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayplan.operate.volumes.DYING", 0.05)
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


async def _all(file: Path) -> bytes:
    return b"".join([chunk async for chunk in _read(file, [])])


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


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.tgz", "data.tar.bz2", "data.tar.xz"])
def test_what_is_written_is_packed_as_its_name_says_and_read_again(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    with _written(file) as out:
        out.write(DATA)
    assert asyncio.run(_all(file)) == DATA
    assert (file.stat().st_size < len(DATA)) is (name != "data.tar")
    told = (tmp_path / f"{name}.sha256").read_text()
    assert told == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n"
    _check_file(file)


def test_what_is_not_written_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    writing = _written(tmp_path / "data.tar")
    writing.__enter__().write(DATA)
    writing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_killed_as_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    """Where the file system has files without a name, as those of Linux that keep a disk have."""
    with _written(tmp_path / "data.tar") as out:
        out.write(DATA)
        assert list(tmp_path.iterdir()) == []


def test_where_every_file_has_a_name_it_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    file = tmp_path / "data.tar"
    with _written(file) as out:
        out.write(DATA)
        assert [f.suffix for f in tmp_path.iterdir()] == [".part"]
    assert file.read_bytes() == DATA
    assert sorted(f.name for f in tmp_path.iterdir()) == ["data.tar", "data.tar.sha256"]


def test_what_is_told_to_be_written_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, fsync, settled = tmp_path / "data.tar.gz", os.fsync, list[tuple[str, bool]]()

    def told(number: int) -> None:
        settled.append((Path(f"/proc/self/fd/{number}").readlink().name, file.exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", told)
    with _written(file) as out:
        out.write(DATA)
    (_, was_named), checksum, directory = settled
    assert not was_named
    assert (checksum, directory) == (("data.tar.gz.sha256", True), (tmp_path.name, True))


def test_others_may_read_a_backup_only_if_they_might_before(tmp_path: Path) -> None:
    file = tmp_path / "data.tar"
    modes = []
    for mode in (0o600, 0o640):
        with _written(file) as out:
            out.write(DATA)
        modes.append(stat.S_IMODE(file.stat().st_mode))
        file.chmod(mode)
    with _written(file) as out:
        out.write(DATA)
    assert [*modes, stat.S_IMODE(file.stat().st_mode)] == [0o600, 0o600, 0o640]


def test_a_mode_that_somebody_else_gave_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever laid a file there first would have the backup's content."""
    file = tmp_path / "data.tar"
    file.touch(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with _written(file) as out:
        out.write(DATA)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


ROOT, ANN, EVE, TMP, HOME = 0, 1000, 1001, 0o41777, 0o40755


@pytest.mark.parametrize(
    ("link", "directory", "mode", "planted"),
    [(EVE, ROOT, TMP, True), (ANN, ROOT, TMP, False), (ROOT, ROOT, TMP, False), (EVE, ANN, HOME, False)],
)
def test_a_link_that_somebody_else_put_into_tmp_is_not_followed(
    link: int, directory: int, mode: int, planted: bool
) -> None:
    """It may lead to any file of ours, which the backup would replace."""

    def of(uid: int, mode: int) -> os.stat_result:
        return os.stat_result((mode, 0, 0, 1, uid, uid, 0, 0, 0, 0))

    assert is_planted(of(link, 0o120777), of(directory, mode), ANN) is planted


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_such_a_link_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "data.tar").symlink_to("mine")
    os.lchown(tmp_path / "data.tar", EVE, EVE)
    with pytest.raises(UsageError, match="is a link of another user's"):
        _written(tmp_path / "data.tar").__enter__()
    assert (tmp_path / "mine").read_text() == "mine"


def test_of_two_that_write_one_file_each_writes_a_whole_one(tmp_path: Path) -> None:
    file = tmp_path / "data.tar"
    with _written(file) as one:
        one.write(DATA)
        one.flush()
        with _written(file) as two:
            two.write(DATA[:7])
        one.write(DATA)
    assert file.read_bytes() == DATA * 2
    _check_file(file)
    assert {f.name for f in tmp_path.iterdir()} == {"data.tar", "data.tar.sha256"}


def test_one_that_ends_before_its_checksum_is_written_does_not_have_the_last_one_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.tar"
    with _written(file) as out:
        out.write(DATA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BayplanError, match="no space left"), _written(file) as out:
        out.write(DATA * 2)
    _check_file(file)


def test_a_disk_that_takes_no_more_is_told() -> None:
    with pytest.raises(BayplanError, match=r"data\.tar cannot be written: no such"):
        _written(Path("/nosuch/data.tar")).__enter__()
    with pytest.raises(UsageError, match="is a directory"):
        _written(Path("/")).__enter__()


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    file = tmp_path / "data.tar.gz"
    file.symlink_to("disk/today")
    with _written(file) as out:
        out.write(DATA)
    assert file.is_symlink()
    assert gzip.decompress((tmp_path / "disk" / "today").read_bytes()) == DATA
    _check_file(file)
    (tmp_path / "disk" / "today").write_bytes(DATA)
    with pytest.raises(BayplanError, match=r"its checksum differs from today\.sha256"):
        _check_file(file)


@pytest.mark.parametrize("name", ["pipe", "link", "-"])
def test_what_is_no_regular_file_is_refused_and_stays_what_it_is(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(UsageError) as refused:
        _written(Path("-") if name == "-" else tmp_path / name).__enter__()
    assert refused.value.todo
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_packed_file_that_ends_too_soon_is_told(tmp_path: Path) -> None:
    file = tmp_path / "data.tar.gz"
    file.write_bytes(gzip.compress(DATA)[:-9])
    with pytest.raises(BayplanError, match="cannot be unpacked"):
        asyncio.run(_all(file))


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
