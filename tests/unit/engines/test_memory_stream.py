"""A command that is spoken with, in memory: what waits for it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from bayplan.engines.memory_container import MemoryStream


def parrot() -> Generator[bytes, bytes, int]:
    """Says what it is told."""
    said = b"begun"
    while said != b"bye":
        said = yield said
    return 3


async def test_who_has_read_leaves_nobody_that_waits_on() -> None:
    """Its tasks were cancelled and not waited for: a loop that ended there told of each."""
    stream = MemoryStream(parrot(), asyncio.Event())
    assert await stream.read() == b"begun"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await stream.write(b"bye")
    assert await stream.read() == b""
    assert (await stream.ended()).status == 3


async def test_nor_does_who_reads_no_more() -> None:
    stream = MemoryStream(parrot(), asyncio.Event())
    await stream.read()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await stream.read()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await stream.write(b"on")
    assert await stream.read() == b"on", "what is said then is for the next one who reads"
