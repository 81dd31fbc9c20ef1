"""What is in a tar, in one digest that does not depend on how it was packed: by which a copy is checked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import posixpath
import tarfile
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, replace
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

    fault: why it is no tar, or not a whole one. parents: directories that it has something in and does not have: they
    are made by whoever unpacks it, and are for that `beside` what is compared.
    """

    def __init__(self, beside: frozenset[str] = frozenset()) -> None:
        self.value = self.fault = ""
        self.entries = 0
        self.parents = frozenset[str]()
        self._beside = beside

    async def __aenter__(self) -> Self:
        reading, writing = os.pipe()
        self._writer = os.fdopen(writing, "wb", buffering=0)
        self._reader = asyncio.create_task(asyncio.to_thread(_read, os.fdopen(reading, "rb"), self._beside))
        return self

    async def feed(self, chunk: bytes) -> None:
        await asyncio.to_thread(self._writer.write, chunk)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises TarError; half a tar is none when the other half was not wanted any more."""
        self._writer.close()
        try:
            self.value, self.entries, self.parents = await self._reader
        except tarfile.TarError as broken:
            if kind is None:
                self.fault = str(broken)
                raise


@dataclass(frozen=True, slots=True)
class _About:
    """An entry as it counts. kind: as in its header, but one for every way to pack a file. content: its digest."""

    kind: str
    mode: str
    uid: int
    gid: int
    link: str
    size: int
    content: str


_FILE, _LINK = tarfile.REGTYPE.decode(), tarfile.LNKTYPE.decode()


def _read(pipe: BinaryIO, beside: frozenset[str]) -> tuple[str, int, frozenset[str]]:
    found: dict[str, _About] = {}  # of what was packed twice the later one is what is unpacked
    with pipe:
        try:
            with tarfile.open(fileobj=pipe, mode="r|", tarinfo=Entry) as tar:
                found |= ((os.path.normpath(member.name), _about(tar, member)) for member in tar)
        finally:
            while pipe.read(_PIECE):  # what is after the end of the tar, and all of it when it cannot be read
                pass
    parents = {p for name in found for p in _above(name) if p not in found}
    counted = [(n, *astuple(a)) for n, a in _linked(found).items() if n != "." and n not in beside]
    text = "\n".join(sorted(map(repr, counted)))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest(), len(counted), frozenset(parents)


def _above(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _about(tar: tarfile.TarFile, member: tarfile.TarInfo) -> _About:
    mode = f"{member.mode & _PERMISSIONS:o}"  # some packers add the kind of file
    kind = _FILE if member.isreg() else member.type.decode()
    link = os.path.normpath(member.linkname) if member.islnk() else member.linkname
    content = hashlib.sha256()
    file = tar.extractfile(member) if member.isreg() else None
    while file and (piece := file.read(_PIECE)):
        content.update(piece)
    return _About(kind, mode, member.uid, member.gid, link, member.size, content.hexdigest() if file else "")


def _linked(found: Mapping[str, _About]) -> Mapping[str, _About]:
    """Of several names of one file the first by the alphabet has it: packers give it to whichever they meet first."""
    names: dict[str, set[str]] = defaultdict(set)
    for name, about in found.items():
        if about.kind == _LINK and about.link in found and found[about.link].kind == _FILE:
            names[about.link] |= {about.link, name}
    same: dict[str, _About] = {}
    for target, links in names.items():
        first, file = min(links), found[target]
        same |= dict.fromkeys(links, replace(file, kind=_LINK, link=first, size=0, content="")) | {first: file}
    return {**found, **same}
