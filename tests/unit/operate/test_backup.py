"""The file of a backup on this machine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from pathlib import Path

import pytest

from bayplan.errors import BayplanError, UsageError
from bayplan.operate.backup import _check_file, _read, _written

DATA = b"data" * 1000


async def _all(file: Path) -> bytes:
    return b"".join([chunk async for chunk in _read(file)])


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


def test_a_disk_that_takes_no_more_is_told() -> None:
    with pytest.raises(BayplanError, match=r"data\.tar cannot be written: no such"):
        _written(Path("/nosuch/data.tar")).__enter__()
    with pytest.raises(UsageError, match="is a directory"):
        _written(Path("/")).__enter__()


def test_a_packed_file_that_ends_too_soon_is_told(tmp_path: Path) -> None:
    file = tmp_path / "data.tar.gz"
    file.write_bytes(gzip.compress(DATA)[:-9])
    with pytest.raises(BayplanError, match="cannot be unpacked"):
        asyncio.run(_all(file))
