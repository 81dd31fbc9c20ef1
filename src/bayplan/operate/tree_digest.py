"""What is in a tar, in one digest that does not depend on how it was packed: by which a copy is checked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from tarfile import EOFHeaderError, HeaderError, ReadError  # type: ignore[attr-defined]  # typeshed has not all of them
from typing import BinaryIO, Self

from bayplan.errors import BayplanError

_PIECE = 1 << 20
_A_MOMENT = 0.01  # seconds
_PERMISSIONS = 0o7777


@asynccontextmanager
async def digested(
    tar: AsyncGenerator[bytes], on: Callable[[int], None], into: Digest, what: str = "it"
) -> AsyncIterator[AsyncGenerator[bytes]]:
    """The same bytes; `on` is told how many so far, `into` has the digest once they have ended. what: for messages.

    Raises BayplanError when they are not a whole tar, whatever their reader makes of that. Left before they have, the
    tar is let go of: an engine does nothing else to a container that it is still reading.
    """
    passing = _pass(tar, on, into)
    try:
        yield passing
    except (BayplanError, tarfile.TarError) as error:
        if not into.fault:
            raise
        raise BayplanError(f"{what} is not a whole tar: {into.fault}") from error
    finally:
        await _let_go(passing)
        await _let_go(tar)


async def _pass(tar: AsyncGenerator[bytes], on: Callable[[int], None], into: Digest) -> AsyncGenerator[bytes]:
    done = 0
    async with into:
        async for chunk in tar:
            await into.feed(chunk)
            done += len(chunk)
            on(done)
            yield chunk


async def _let_go(stream: AsyncGenerator[bytes]) -> None:
    while True:
        try:
            return await stream.aclose()
        except RuntimeError:  # a task that reads it was cancelled a moment ago, and has not heard of it yet
            await asyncio.sleep(_A_MOMENT)


class Entry(tarfile.TarInfo):
    """One of a tar that has an end: tarfile takes a header that it cannot read for it, and half a tar for a whole."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as broken:
            raise ReadError(f"{broken}, where another entry or its end should be") from broken


class Digest:
    """Reads a tar as it passes by, in a thread of its own. value: SHA-256 of names, kinds, owners, modes, contents.

    fault: why it is no tar, or not a whole one.
    """

    def __init__(self) -> None:
        self.value = self.fault = ""
        self.entries = 0

    async def __aenter__(self) -> Self:
        reading, writing = os.pipe()
        self._writer = os.fdopen(writing, "wb", buffering=0)
        self._reader = asyncio.create_task(asyncio.to_thread(_read, os.fdopen(reading, "rb")))
        return self

    async def feed(self, chunk: bytes) -> None:
        await asyncio.to_thread(self._writer.write, chunk)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises TarError; half a tar is none when the other half was not wanted any more."""
        self._writer.close()
        try:
            self.value, self.entries = await self._reader
        except tarfile.TarError as broken:
            if kind is None:
                self.fault = str(broken)
                raise


def _read(pipe: BinaryIO) -> tuple[str, int]:
    lines: list[str] = []
    with pipe:
        try:
            with tarfile.open(fileobj=pipe, mode="r|", tarinfo=Entry) as tar:
                lines += [_line(tar, member) for member in tar if os.path.normpath(member.name) != "."]
        finally:
            while pipe.read(_PIECE):  # what is after the end of the tar, and all of it when it cannot be read
                pass
    text = "\n".join(sorted(lines))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest(), len(lines)


def _line(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    name = os.path.normpath(member.name)
    mode = f"{member.mode & _PERMISSIONS:o}"  # some packers add the kind of file
    about = (name, member.type.decode(), mode, member.uid, member.gid, member.linkname, member.size)
    content = hashlib.sha256()
    file = tar.extractfile(member) if member.isreg() else None
    while file and (piece := file.read(_PIECE)):
        content.update(piece)
    return repr((*about, content.hexdigest() if file else ""))
