"""Files in and out, by the rules of `docker cp`."""

from __future__ import annotations

import asyncio
import errno
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bayplan.cli.cp import _service, _sides
from bayplan.container import Container, File
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import BayplanError, NotFoundError, UsageError
from bayplan.facts import Replica
from bayplan.operate.copy import _told, _unpack, fetch, send, stream_in, stream_out

ONE = Replica("id", "web", "h1", "shop", "web", 1, 1, "spec", "running")
FILES = (File("/etc/app/a.conf", b"a"), File("/etc/app/sub/b.conf", b"b"), File("/one.txt", b"1"))


@pytest.fixture
def engine() -> MemoryEngine:
    made = MemoryEngine("h1", MemoryHub("a:1"))

    async def begin() -> None:
        await made.pull("a:1", lambda _: None)
        await made.run(Container("web", "a:1", files=FILES))

    asyncio.run(begin())
    return made


def files(directory: Path) -> dict[str, str]:
    return {str(p.relative_to(directory)): p.read_text() for p in sorted(directory.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("source", "target", "there"),
    [
        ("/one.txt", ".", {"one.txt": "1"}),
        ("/one.txt", "two.txt", {"two.txt": "1"}),
        ("/etc/app", ".", {"app/a.conf": "a", "app/sub/b.conf": "b"}),
        ("/etc/app", "conf", {"conf/a.conf": "a", "conf/sub/b.conf": "b"}),
        ("/etc/app/.", ".", {"a.conf": "a", "sub/b.conf": "b"}),
    ],
)
async def test_out_of_a_replica(
    engine: MemoryEngine, tmp_path: Path, source: str, target: str, there: dict[str, str]
) -> None:
    await fetch(engine, ONE, source, tmp_path / target)
    assert files(tmp_path) == there


@pytest.mark.parametrize(
    ("source", "target", "there"),
    [
        ("x.txt", "/tmp", {"/tmp/x.txt"}),
        ("x.txt", "/tmp/", {"/tmp/x.txt"}),
        ("x.txt", "/etc/app/a.conf", {"/etc/app/a.conf"}),
        ("x.txt", "/etc/app/new", {"/etc/app/new"}),
        ("d", "/tmp", {"/tmp/d/x.txt"}),
        ("d", "/etc/app/new", {"/etc/app/new/x.txt"}),
        ("d/.", "/tmp", {"/tmp/x.txt"}),
    ],
)
async def test_into_a_replica(engine: MemoryEngine, tmp_path: Path, source: str, target: str, there: set[str]) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.txt").write_text("x")
    (tmp_path / "x.txt").write_text("x")
    await send(engine, ONE, tmp_path / source, source, target)
    found = engine.container("web").files
    assert {p for p, content in found.items() if content == b"x"} == there


async def test_what_cannot_be_is_told_and_changes_nothing(engine: MemoryEngine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotFoundError):
        await fetch(engine, ONE, "/nope", tmp_path)
    with pytest.raises(UsageError, match="is a directory"):
        await fetch(engine, ONE, "/etc/app", tmp_path / "file")
    with pytest.raises(UsageError, match="there is no directory"):
        await fetch(engine, ONE, "/one.txt", tmp_path / "no" / "where")
    with pytest.raises(UsageError, match="has no directory /no"):
        await send(engine, ONE, tmp_path / "file", "file", "/no/where")
    with pytest.raises(UsageError, match="is a directory"):
        await send(engine, ONE, tmp_path, ".", "/one.txt")
    assert files(tmp_path) == {"file": "mine"}


def packed(*members: tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            tar.addfile(member)
    buffer.seek(0)
    return buffer


def entry(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o6755
    return info


class Wicked(MemoryEngine):
    """Says what it likes."""

    def __init__(self, members: tuple[tarfile.TarInfo, ...]) -> None:
        super().__init__("h1", MemoryHub())
        self._members = members

    async def copy_out(self, name: str, path: str) -> AsyncIterator[bytes]:  # noqa: ARG002
        yield packed(*self._members).read()


def test_links_come_as_they_are_and_devices_not_at_all(tmp_path: Path) -> None:
    told = packed(
        entry("d", tarfile.DIRTYPE), entry("d/awk", tarfile.SYMTYPE, "/usr/bin/mawk"), entry("d/null", tarfile.CHRTYPE),
        entry("d/su", tarfile.REGTYPE), entry("d/same", tarfile.LNKTYPE, "d/su"),
    )  # fmt: skip
    _unpack(told, "/etc/d", tmp_path)
    assert (tmp_path / "d" / "awk").readlink() == Path("/usr/bin/mawk")
    assert not (tmp_path / "d" / "null").exists()
    assert (tmp_path / "d" / "same").stat().st_ino == (tmp_path / "d" / "su").stat().st_ino
    assert (tmp_path / "d" / "su").stat().st_mode & 0o7000 == 0


def test_a_directory_has_its_own_mode_and_time_after_what_is_in_it_is_there(tmp_path: Path) -> None:
    """One that may not be written to (Go's module cache) could else be filled by root alone."""
    directory, file = entry("d", tarfile.DIRTYPE), entry("d/f", tarfile.REGTYPE)
    directory.mode, directory.mtime = 0o555, 1000
    _unpack(packed(directory, file), "/etc/d", tmp_path)
    seen = (tmp_path / "d").stat()
    assert (seen.st_mode & 0o777, seen.st_mtime) == (0o555, 1000)
    (tmp_path / "d").chmod(0o755)


@pytest.mark.parametrize(
    "members",
    [
        (entry("d/x", tarfile.SYMTYPE, "/"), entry("d/x/etc-passwd", tarfile.REGTYPE)),
        (entry("d/../../out", tarfile.REGTYPE),),
        (entry("d/x", tarfile.LNKTYPE, "d/../../../etc/passwd"),),
    ],
)
async def test_nothing_is_written_elsewhere(members: tuple[tarfile.TarInfo, ...], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(BayplanError, match="not unpacked"):
        await fetch(Wicked(members), ONE, "/etc/d", tmp_path / "here")
    assert files(tmp_path) == {}


async def test_no_file_of_this_machine_is_written_to_by_a_name_that_was_unpacked(tmp_path: Path) -> None:
    """Nor is it linked to: a later copy would write to it."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    away, again = entry("d/x", tarfile.SYMTYPE, "../.."), entry("d/y", tarfile.LNKTYPE, "d/x/mine")
    (tmp_path / "here").mkdir()
    with pytest.raises(BayplanError, match="not unpacked"):
        await fetch(Wicked((away, again, entry("d/y", tarfile.REGTYPE))), ONE, "/etc/d", tmp_path / "here")
    assert (mine.read_text(), mine.stat().st_nlink) == ("mine", 1)


class Cut(MemoryEngine):
    """Ends too soon."""

    async def copy_out(self, name: str, path: str) -> AsyncIterator[bytes]:  # noqa: ARG002
        yield packed(entry("d", tarfile.DIRTYPE), entry("d/one", tarfile.REGTYPE)).read()[:1024]


async def test_half_of_what_was_asked_for_is_told(tmp_path: Path) -> None:
    with pytest.raises(BayplanError, match="not unpacked"):
        await fetch(Cut("h1", MemoryHub()), ONE, "/etc/d", tmp_path)


async def test_what_cannot_be_read_here_is_told(engine: MemoryEngine, tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    with pytest.raises(BayplanError, match="no such file"):
        await send(engine, ONE, tmp_path / "gone", "gone", "/tmp/x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web:/a", ("web", "/a")),
        ("web:a:b", ("web", "a:b")),
        ("./web:/a", None),
        ("/a:b", None),
        ("web", None),
        ("web:", None),
        (".", None),
    ],
)
def test_a_service_and_a_path_are_told_from_a_path(text: str, told: tuple[str, str] | None) -> None:
    assert _service(text) == told


def test_a_path_here_that_is_like_one_of_a_service_is_told_how_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd na:me").touch()
    for source, target in (("odd na:me", "a:/tmp/"), ("a:/tmp/x", "odd na:me")):
        with pytest.raises(UsageError, match="both are SERVICE:PATH") as refused:
            _sides(source, target)
        assert "./odd na:me" in refused.value.todo
    assert _sides("./odd na:me", "a:/tmp/") == (None, ("a", "/tmp/"))
    with pytest.raises(UsageError, match="one of the two is SERVICE:PATH"):
        _sides("a", "b")


async def test_a_tar_out_of_a_replica_and_into_one(engine: MemoryEngine, tmp_path: Path) -> None:
    """`cp web:/etc/app - | tar -t`: a file of the name - was written."""
    packed = io.BytesIO()
    await stream_out(engine, ONE, "/etc/app", packed)
    with tarfile.open(fileobj=io.BytesIO(packed.getvalue())) as tar:
        assert {"app/a.conf", "app/sub/b.conf"} <= set(tar.getnames())
    for _ in range(2):  # every replica of a service gets it
        await stream_in(engine, ONE, packed, "/etc/app")
    await fetch(engine, ONE, "/etc/app/app", tmp_path)
    assert files(tmp_path) == {"app/a.conf": "a", "app/sub/b.conf": "b"}
    with pytest.raises(UsageError, match="no directory /nosuch"):
        await stream_in(engine, ONE, packed, "/nosuch")


def test_a_full_disk_is_told_with_the_place_which_no_write_names() -> None:
    with pytest.raises(BayplanError, match="no space left on device") as told, _told("/srv/copy"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (told.value.where, told.value.todo) == ("/srv/copy", "make room on its disk")
