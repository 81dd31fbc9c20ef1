"""The Docker CLI that builds, as far as it goes without one."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from bayplan.engines.buildkit import Builder, build
from bayplan.errors import ImageError
from bayplan.ports import BuildRequest, Transfer

REQUEST = BuildRequest(context=(), tag="shop/web")


def cli(directory: Path, script: str) -> Builder:
    program = directory / "docker"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    program.chmod(0o755)
    return Builder(str(program), "buildx")


async def test_interrupted_nothing_of_it_goes_on(tmp_path: Path) -> None:
    """The CLI's plugin, which builds, is a process of its own."""
    builder = cli(tmp_path, "sh -c 'echo $$; exec sleep 20'\ntrue")
    told: asyncio.Queue[Transfer] = asyncio.Queue()
    building = asyncio.create_task(build(builder, "unix:///x", REQUEST, told.put_nowait, "h1"))
    async with asyncio.timeout(10):
        plugin = int((await told.get()).text)
    building.cancel()
    ended, _ = await asyncio.wait([building], timeout=5)
    assert ended
    async with asyncio.timeout(5):
        while is_running(plugin):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    """An orphan stays a zombie where nobody waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


async def test_a_line_that_has_no_end_is_no_traceback(tmp_path: Path) -> None:
    builder = cli(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo wrong; exit 1")
    with pytest.raises(ImageError, match=r"(?s)failed: wrong\n.*\| \(a line of more than a megabyte\)"):
        await build(builder, "unix:///x", REQUEST, lambda _: None, "h1")


async def test_a_secret_is_on_no_disk_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill would leave it there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read = 'for word; do case $word in --secret=id=key,src=*) cat "${word#*src=}" "${word#*src=}"; esac; done'
    builder = cli(tmp_path, f"{read}; echo; grep -rl hunte[r]2 {tmp_path}; exit 1")
    with pytest.raises(ImageError) as told:
        await build(builder, "unix:///x", replace(REQUEST, secrets={"key": b"hunter2"}), lambda _: None, "h1")
    assert [line for line in told.value.what.splitlines() if "|" in line] == ["  | hunter2hunter2"]
