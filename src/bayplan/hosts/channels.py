"""Connections to sockets and ports of a host, all of them over one stream with one small program there (`channels.pl`).

Frames go both ways (`_HEAD`, then so many bytes): a kind, the number of a connection, and what is told. Of what is said
in a connection no more is under way than `WINDOW`, until who it was for has taken some of it: one that stands still
holds up no other, and is kept in no more memory than that.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from bayplan.errors import BayplanError, HostUnreachableError
from bayplan.ports import ExecStream

WINDOW: Final = 256 * 1024  # bytes
_PIECE: Final = 32 * 1024  # bytes of a frame
_QUIET: Final = 2.0  # seconds since the program was heard, after which it is asked whether it is there
_ANSWER: Final = 3.0  # seconds for it to answer

_HEAD: Final = struct.Struct(">cLL")
_OPEN, _DATA, _END, _HANG_UP, _TAKEN, _ASK = b"O", b"D", b"E", b"X", b"T", b"A"
_COUNT: Final = struct.Struct(">L")


def command() -> tuple[str, ...]:
    """What is the other end."""
    return ("perl", "-e", Path(__file__).with_suffix(".pl").read_text(), str(WINDOW), str(_PIECE))


class Channels:
    """stream: with `command`. Begun by `begin`; over when the stream is, and its connections then end."""

    def __init__(self, stream: ExecStream) -> None:
        self._stream = stream
        self._all: dict[int, Channel] = {}
        self._numbers = 0
        self._frames: deque[bytes] = deque()  # of each connection no more than WINDOW
        self._has_frames = asyncio.Event()
        self._answered = asyncio.Event()
        self._is_over = False
        self._heard = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, deadline: float) -> bool:
        """Whether the program runs. Raises TimeoutError."""
        self._tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._say())]
        async with asyncio.timeout(deadline):
            await self._answered.wait()
        return not self._is_over

    async def stands(self) -> bool:
        """Whether the program is there: was heard a moment ago, or answers now."""
        if self._is_over or time.monotonic() - self._heard < _QUIET:
            return not self._is_over
        self._answered.clear()
        self.tell(_ASK, 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER):
                await self._answered.wait()
        return self._answered.is_set() and not self._is_over

    def open(self, target: str) -> Channel:
        """A connection there: the path of a UNIX socket, or ip:port. One that cannot be made hangs up."""
        self._numbers += 1
        made = self._all[self._numbers] = Channel(self, self._numbers)
        self.tell(_OPEN, self._numbers, target.encode())
        if self._is_over:
            made.hung_up()
        return made

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stream.close()

    def tell(self, kind: bytes, number: int, what: bytes | memoryview = b"") -> None:
        """For `Channel`."""
        self._frames.append(_HEAD.pack(kind, number, len(what)) + bytes(what))
        self._has_frames.set()

    def forget(self, number: int) -> None:
        """For `Channel`: nothing more is told of it."""
        self._all.pop(number, None)

    async def _say(self) -> None:
        try:
            with suppress(BayplanError, OSError):
                while await self._has_frames.wait():
                    said, self._frames = b"".join(self._frames), deque()
                    self._has_frames.clear()
                    await self._stream.write(said)
        finally:
            self._end()

    async def _hear(self) -> None:
        rest = bytearray()
        try:
            with suppress(BayplanError, OSError):
                while data := await self._stream.read():
                    self._heard = time.monotonic()
                    rest += data
                    self._take_frames(rest)
        finally:
            self._end()

    def _end(self) -> None:
        """Whoever waits need not."""
        self._is_over = True
        for channel in list(self._all.values()):
            channel.hung_up()
        self._answered.set()

    def _take_frames(self, rest: bytearray) -> None:
        """Raises HostUnreachableError for what is no frame."""
        at = 0
        while len(rest) - at >= _HEAD.size:
            kind, number, size = _HEAD.unpack_from(rest, at)
            if kind not in (_DATA, _END, _HANG_UP, _TAKEN, _ASK):
                raise HostUnreachableError("what answers is not the program that was begun")
            if len(rest) - at < _HEAD.size + size:
                break
            at += _HEAD.size
            self._take(kind, number, bytes(rest[at : at + size]))
            at += size
        del rest[:at]

    def _take(self, kind: bytes, number: int, what: bytes) -> None:
        channel = self._all.get(number)
        if kind == _ASK:
            self._answered.set()
        elif channel is None:  # it was hung up here, which is not known there yet
            return
        elif kind == _DATA:
            channel.said(what)
        elif kind == _END:
            channel.said(b"")
        elif kind == _TAKEN:
            channel.taken(*_COUNT.unpack(what))
        else:
            channel.hung_up()


class Channel:
    """One connection: a `Link` of a relay."""

    def __init__(self, channels: Channels, number: int) -> None:
        self._channels, self._number = channels, number
        self._said: deque[bytes] = deque()  # b"" at the end of it
        self._may = WINDOW  # bytes that may be told yet
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._is_gone = False
        self._is_told = False
        self._is_heard = False

    async def read(self) -> bytes:
        while not self._said:
            if self._is_gone:
                raise ConnectionResetError
            self._news.clear()
            await self._news.wait()
        if not self._said[0]:
            return b""
        data = self._said.popleft()
        if not self._is_gone:
            self._channels.tell(_TAKEN, self._number, _COUNT.pack(len(data)))
        return data

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            while not self._may and not self._is_gone:
                self._room.clear()
                await self._room.wait()
            if self._is_gone:
                raise ConnectionResetError
            piece = view[: min(self._may, _PIECE)]
            self._may -= len(piece)
            self._channels.tell(_DATA, self._number, piece)
            view = view[len(piece) :]

    def end(self) -> None:
        if not (self._is_gone or self._is_told):
            self._is_told = True
            self._channels.tell(_END, self._number)

    def drop(self) -> None:
        if not self._is_gone:
            if not (self._is_told and self._is_heard):
                self._channels.tell(_HANG_UP, self._number)
            self.hung_up()

    def said(self, data: bytes) -> None:
        """There; b"": that was all."""
        self._said.append(data)
        self._is_heard = self._is_heard or not data
        self._news.set()

    def taken(self, count: int) -> None:
        """There."""
        self._may += count
        self._room.set()

    def hung_up(self) -> None:
        """There, or here: what was said before is still read."""
        self._is_gone = True
        self._channels.forget(self._number)
        self._news.set()
        self._room.set()
