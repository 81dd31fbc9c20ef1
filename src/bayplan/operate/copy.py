"""Files into replicas and out of them, by the rules of `docker cp`."""

from __future__ import annotations

import asyncio
import errno
import os
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from bayplan.errors import BayplanError, UsageError, in_words
from bayplan.facts import Replica
from bayplan.operate.tree_digest import Entry
from bayplan.ports import Engine

_CHUNK = 1 << 20


async def fetch(engine: Engine, replica: Replica, source: str, target: Path) -> None:
    """A file or directory of a replica to this machine. Into `target` if that is a directory, else by that name.

    A source that ends in "/." is what is in it. Raises NotFoundError, UsageError, BayplanError.
    """
    with tempfile.TemporaryFile() as packed:
        with _told(tempfile.gettempdir()):
            async for chunk in engine.copy_out(replica.name, source):
                await asyncio.to_thread(packed.write, chunk)
            packed.seek(0)
        with _told(str(target)):
            await asyncio.to_thread(_unpack, packed, source, target)


async def send(engine: Engine, replica: Replica, source: Path, what: str, target: str) -> None:
    """A file or directory of this machine into a replica, likewise. what: the source as it was written."""
    with _told(tempfile.gettempdir()), tempfile.TemporaryFile() as packed:
        is_tree, own = await asyncio.to_thread(lambda: (source.is_dir(), source.absolute().name))
        directory, name = await _place(engine, replica, own, what, target, is_tree=is_tree)
        await asyncio.to_thread(_pack, packed, source, name)
        packed.seek(0)
        await engine.copy_in(replica.name, directory, _chunks(packed))


async def stream_out(engine: Engine, replica: Replica, source: str, to: IO[bytes]) -> None:
    """A file or directory of a replica as a tar."""
    async for chunk in engine.copy_out(replica.name, source):
        await asyncio.to_thread(to.write, chunk)
    await asyncio.to_thread(to.flush)


async def stream_in(engine: Engine, replica: Replica, packed: IO[bytes], target: str) -> None:
    """What is in a tar into a directory of a replica, its owners as they are. packed: read from its start."""
    if not await engine.is_directory(replica.name, target):
        raise UsageError(f"{replica.name} has no directory {target}")
    packed.seek(0)
    await engine.copy_in(replica.name, target, _chunks(packed))


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What this machine's disk refuses, and what a tar must not do to it. place: where it writes, which a full disk
    does not tell.
    """
    try:
        yield
    except OSError as error:
        said = in_words(error)
        todo = "make room on its disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise BayplanError(said, where=str(error.filename or place), todo=todo) from error
    except tarfile.TarError as error:
        raise BayplanError(f"it was not unpacked: {error}") from error


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


def _unpack(tar: IO[bytes], source: str, target: Path) -> None:
    root = target.name
    if target.is_dir():
        root = "" if source.endswith("/.") else PurePosixPath(source).name
    elif not target.parent.is_dir():
        raise UsageError(f"there is no directory {target.parent}", todo="make it first")
    base = target if target.is_dir() else target.parent
    with tarfile.open(fileobj=tar, mode="r:", tarinfo=Entry) as content:
        members = content.getmembers()
        if target.is_file() and (members[0].isdir() or "/" in members[0].name):
            raise UsageError(f"{source} is a directory, and {target} a file", todo="name a directory")
        content.extractall(base, _renamed(members, root), filter=_kept_in)  # noqa: S202  the filter keeps it in


def _kept_in(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """tarfile's own filter looks at names alone. A hard link that goes through a symbolic one, unpacked before it, is
    another name of a file of this machine, and what is unpacked by that name next overwrites it.
    """
    if member.islnk():
        base = os.path.realpath(path)
        led = os.path.realpath(Path(base, member.linkname))
        if os.path.commonpath((base, led)) != base:
            raise tarfile.LinkOutsideDestinationError(member, led)
    return tarfile.tar_filter(member, path)


def _renamed(members: list[tarfile.TarInfo], root: str) -> Iterator[tarfile.TarInfo]:
    """Their first part is what the source is called here. They belong to whoever copies; devices are left out."""
    for member in members:
        name, link = _under(root, member.name), member.linkname
        if member.islnk():
            link = _under(root, link)
        if name and (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            yield member.replace(name=name, linkname=link, uid=None, gid=None, uname=None, gname=None, deep=False)  # type: ignore[arg-type]


def _under(root: str, name: str) -> str:
    _, _, rest = name.partition("/")
    return "/".join(part for part in (root, rest.strip("/")) if part)


async def _place(
    engine: Engine, replica: Replica, source: str, what: str, target: str, *, is_tree: bool
) -> tuple[str, str]:
    """The directory there, and what the source is to be called in it; "" for what is in it."""
    is_directory = await engine.is_directory(replica.name, target)
    if is_directory:
        return target, "" if is_tree and what.endswith("/.") else source
    if is_directory is False and is_tree:
        raise UsageError(f"{what} is a directory, and {target} in {replica.name} a file", todo="name a directory")
    path = PurePosixPath(target)
    if (target.endswith("/") and not is_tree) or not await engine.is_directory(replica.name, str(path.parent)):
        raise UsageError(f"{replica.name} has no directory {target if target.endswith('/') else path.parent}")
    return str(path.parent), path.name


def _pack(packed: IO[bytes], source: Path, name: str) -> None:
    """Owned by root there, whoever owns it here."""
    with tarfile.open(fileobj=packed, mode="w") as tar:
        if name:
            tar.add(source.resolve(), name, filter=_roots)
        else:
            for child in sorted(source.iterdir()):
                tar.add(child, child.name, filter=_roots)


def _roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
