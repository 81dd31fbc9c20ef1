"""The file of a backup on this machine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import stat
from pathlib import Path

import pytest

from bayplan.errors import BayplanError, UsageError
from bayplan.operate.backup_file import check, is_planted, read, written

DATA = b"data" * 1000


async def _all(file: Path) -> bytes:
    return b"".join([chunk async for chunk in read(file, [])])


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.tgz", "data.tar.bz2", "data.tar.xz"])
def test_what_is_written_is_packed_as_its_name_says_and_read_again(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    with written(file) as out:
        out.write(DATA)
    assert asyncio.run(_all(file)) == DATA
    assert (file.stat().st_size < len(DATA)) is (name != "data.tar")
    told = (tmp_path / f"{name}.sha256").read_text()
    assert told == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n"
    check(file)


def test_what_is_not_written_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    writing = written(tmp_path / "data.tar")
    writing.__enter__().write(DATA)
    writing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_killed_as_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    """Where the file system has files without a name, as those of Linux that keep a disk have."""
    with written(tmp_path / "data.tar") as out:
        out.write(DATA)
        assert list(tmp_path.iterdir()) == []


def test_where_every_file_has_a_name_it_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    file = tmp_path / "data.tar"
    with written(file) as out:
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
    with written(file) as out:
        out.write(DATA)
    (_, was_named), checksum, directory = settled
    assert not was_named
    assert (checksum, directory) == (("data.tar.gz.sha256", True), (tmp_path.name, True))


def test_others_may_read_a_backup_only_if_they_might_before(tmp_path: Path) -> None:
    file = tmp_path / "data.tar"
    modes = []
    for mode in (0o600, 0o640):
        with written(file) as out:
            out.write(DATA)
        modes.append(stat.S_IMODE(file.stat().st_mode))
        file.chmod(mode)
    with written(file) as out:
        out.write(DATA)
    assert [*modes, stat.S_IMODE(file.stat().st_mode)] == [0o600, 0o600, 0o640]


def test_a_mode_that_somebody_else_gave_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever laid a file there first would have the backup's content."""
    file = tmp_path / "data.tar"
    file.touch(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with written(file) as out:
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
        written(tmp_path / "data.tar").__enter__()
    assert (tmp_path / "mine").read_text() == "mine"


def test_of_two_that_write_one_file_each_writes_a_whole_one(tmp_path: Path) -> None:
    file = tmp_path / "data.tar"
    with written(file) as one:
        one.write(DATA)
        one.flush()
        with written(file) as two:
            two.write(DATA[:7])
        one.write(DATA)
    assert file.read_bytes() == DATA * 2
    check(file)
    assert {f.name for f in tmp_path.iterdir()} == {"data.tar", "data.tar.sha256"}


def test_one_that_ends_before_its_checksum_is_written_does_not_have_the_last_one_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.tar"
    with written(file) as out:
        out.write(DATA)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(BayplanError, match="no space left"), written(file) as out:
        out.write(DATA * 2)
    check(file)


def test_a_disk_that_takes_no_more_is_told() -> None:
    with pytest.raises(BayplanError, match=r"data\.tar cannot be written: no such"):
        written(Path("/nosuch/data.tar")).__enter__()
    with pytest.raises(UsageError, match="is a directory"):
        written(Path("/")).__enter__()


def test_a_link_stays_one_and_what_it_leads_to_iswritten(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    file = tmp_path / "data.tar.gz"
    file.symlink_to("disk/today")
    with written(file) as out:
        out.write(DATA)
    assert file.is_symlink()
    assert gzip.decompress((tmp_path / "disk" / "today").read_bytes()) == DATA
    check(file)
    (tmp_path / "disk" / "today").write_bytes(DATA)
    with pytest.raises(BayplanError, match=r"its checksum differs from today\.sha256"):
        check(file)


@pytest.mark.parametrize("name", ["pipe", "link", "-"])
def test_what_is_no_regular_file_is_refused_and_stays_what_it_is(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with pytest.raises(UsageError) as refused:
        written(Path("-") if name == "-" else tmp_path / name).__enter__()
    assert refused.value.todo
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]
    assert (tmp_path / "pipe").is_fifo()


def test_a_packed_file_that_ends_too_soon_is_told(tmp_path: Path) -> None:
    file = tmp_path / "data.tar.gz"
    file.write_bytes(gzip.compress(DATA)[:-9])
    with pytest.raises(BayplanError, match="cannot be unpacked"):
        asyncio.run(_all(file))
