"""A socket from which connections are led on: what is said, its end, and that somebody hung up, both ways."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from bayplan.errors import HostUnreachableError
from bayplan.hosts.relay import CHUNK, Link, Relay
from bayplan.hosts.sockets import private_dir

DEADLINE = 20.0
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Plain:
    """A link over a socket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read(self) -> bytes:
        return await self.reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def end(self) -> None:
        with suppress(OSError):
            self.writer.write_eof()

    def drop(self) -> None:
        self.writer.close()


@dataclass
class Both:
    """A connection as its two ends have it."""

    relay: Relay
    here: Ends
    there: Ends


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    ours, theirs = socket.socketpair()
    there = await asyncio.open_unix_connection(sock=theirs)

    async def link() -> Link:
        return Plain(*await asyncio.open_unix_connection(sock=ours))

    relay = Relay(link)
    await relay.listen()
    here = await asyncio.open_unix_connection(relay.address.removeprefix("unix:"))
    yield Both(relay, here, there)
    here[1].close()
    there[1].close()
    await relay.close()
    assert not list(private_dir().iterdir())


async def heard(end: Ends) -> bytes:
    """All that is said, up to its end; that one hung up is an end, too."""
    said = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(DEADLINE):
            while data := await end[0].read(CHUNK):
                said += data
    return said


async def say_on(end: Ends) -> None:
    """Until one hung up."""
    async with asyncio.timeout(DEADLINE):
        while True:
            end[1].write(b"x")
            await end[1].drain()


async def end_of_relaying(both: Both) -> None:
    async with asyncio.timeout(DEADLINE):
        while both.relay._led:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)


async def test_who_has_said_all_here_still_listens(both: Both) -> None:
    both.here[1].write(b"question")
    both.here[1].write_eof()
    assert await heard(both.there) == b"question"
    both.there[1].write(b"x" * 3_000_000)
    both.there[1].close()
    assert len(await heard(both.here)) == 3_000_000
    await end_of_relaying(both)


async def test_who_has_said_all_there_still_listens(both: Both) -> None:
    both.there[1].write(b"question")
    both.there[1].write_eof()
    assert await heard(both.here) == b"question"
    both.here[1].write(b"x" * 3_000_000)
    both.here[1].close()
    assert len(await heard(both.there)) == 3_000_000
    await end_of_relaying(both)


async def test_there_it_is_heard_that_one_hung_up_here_who_had_said_all(both: Both) -> None:
    both.here[1].write_eof()
    assert await heard(both.there) == b""
    both.here[1].close()
    await end_of_relaying(both)
    with pytest.raises(ConnectionError):
        await say_on(both.there)


async def test_here_it_is_heard_that_one_hung_up_there(both: Both) -> None:
    both.there[1].close()
    assert await heard(both.here) == b""
    both.here[1].close()
    await end_of_relaying(both)


async def test_one_that_leads_nowhere_hangs_up() -> None:
    async def nowhere() -> Link:
        raise HostUnreachableError("gone", where="h1")

    relay = Relay(nowhere)
    await relay.listen()
    here = await asyncio.open_unix_connection(relay.address.removeprefix("unix:"))
    assert await heard(here) == b""
    here[1].close()
    await relay.close()


async def test_closed_it_ends_what_stands(both: Both) -> None:
    both.here[1].write(b"x")
    await both.there[0].readexactly(1)
    await both.relay.close()
    assert (await heard(both.here), await heard(both.there)) == (b"", b"")
