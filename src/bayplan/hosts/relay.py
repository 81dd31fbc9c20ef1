"""A socket of this process's own, from which every connection is led on to somewhere else."""

from __future__ import annotations

import asyncio
import secrets
import select
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from bayplan.errors import BayplanError
from bayplan.hosts.sockets import private_dir

CHUNK: Final = 64 * 1024
_LOOK: Final = 0.1  # seconds between looks at who only listens


class Link(Protocol):
    """The far half of a connection."""

    async def read(self) -> bytes:
        """The next that is said there; b"" once all is, while it still listens. Raises OSError when it hung up."""

    async def write(self, data: bytes) -> None:
        """Say it there. Raises OSError when it hung up."""

    def end(self) -> None:
        """All is said here, and who said it still listens."""

    def drop(self) -> None:
        """Hang up; `read` ends. Again is fine."""


class Relay:
    """link: makes one to where the connections lead; raises OSError, BayplanError: who has connected is hung up on."""

    def __init__(self, link: Callable[[], Awaitable[Link]]) -> None:
        self._link = link
        self._path = private_dir() / f"r{secrets.token_hex(8)}.s"
        self._server: asyncio.Server | None = None
        self._led: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """As `Reach.dial` tells it."""
        return f"unix:{self._path}"

    async def listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._lead, self._path)

    async def close(self) -> None:
        """Connections that stand end."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for one in self._led:
            one.cancel()
        await asyncio.gather(*self._led, return_exceptions=True)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._led.add(task)
            task.add_done_callback(self._led.discard)
        with suppress(asyncio.CancelledError):  # by `close`; Python 3.11 tells of it as of a fault that nobody handled
            try:
                there = await self._link()
            except (BayplanError, OSError):
                writer.close()
                return
            await _carry(reader, writer, there)


async def _carry(reader: asyncio.StreamReader, own: asyncio.StreamWriter, there: Link) -> None:
    """Both ways until both have ended, or one has hung up."""
    answering = asyncio.create_task(_answer_on(there, own))
    leaving: asyncio.Task[None] | None = None
    try:
        await _ask_on(reader, there)
        if not (own.is_closing() or _hung_up(own)):
            there.end()
        leaving = asyncio.create_task(_until_gone(own))
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending = [task for task in (answering, leaving) if task]
        for task in ending:
            task.cancel()
        there.drop()
        own.close()
        await asyncio.gather(*ending, return_exceptions=True)


async def _ask_on(reader: asyncio.StreamReader, there: Link) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await there.write(data)


async def _answer_on(there: Link, own: asyncio.StreamWriter) -> None:
    try:
        while data := await there.read():
            own.write(data)
            await own.drain()
        own.write_eof()
    except OSError:
        own.close()


async def _until_gone(own: asyncio.StreamWriter) -> None:
    """Who has said all may listen for long. That he went away asyncio does not tell of what it has read to its end."""
    while not (own.is_closing() or _hung_up(own)):  # noqa: ASYNC110  no event tells
        await asyncio.sleep(_LOOK)


def _hung_up(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end of a UNIX socket is closed both ways."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))  # it says nothing but what is told unasked, of which that is one
