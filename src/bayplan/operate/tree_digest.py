"""What is in a tar, in one digest that does not depend on how it was packed: by which a copy is checked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO, Self

_PIECE = 1 << 20
_PERMISSIONS = 0o7777


async def digested(tar: AsyncIterator[bytes], on: Callable[[int], None], into: Digest) -> AsyncIterator[bytes]:
    """The same bytes; `on` is told how many so far, `into` has the digest once they have ended."""
    done = 0
    async with into:
        async for chunk in tar:
            await into.feed(chunk)
            done += len(chunk)
            on(done)
            yield chunk


class Digest:
    """Reads a tar as it passes by, in a thread of its own. value: SHA-256 of names, kinds, owners, modes, contents."""

    def __init__(self) -> None:
        self.value = ""
        self.entries = 0

    async def __aenter__(self) -> Self:
        reading, writing = os.pipe()
        self._writer = os.fdopen(writing, "wb", buffering=0)
        self._reader = asyncio.create_task(asyncio.to_thread(_read, os.fdopen(reading, "rb")))
        return self

    async def feed(self, chunk: bytes) -> None:
        await asyncio.to_thread(self._writer.write, chunk)

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        self.value, self.entries = await self._reader


def _read(pipe: BinaryIO) -> tuple[str, int]:
    lines: list[str] = []
    with pipe:
        try:
            with tarfile.open(fileobj=pipe, mode="r|") as tar:
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
