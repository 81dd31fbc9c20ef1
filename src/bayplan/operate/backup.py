"""A volume as a file on this machine, and back."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import lzma
import os
import stat
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from uuid import uuid4

from bayplan.container import Mounted
from bayplan.errors import BayplanError, NotFoundError, UsageError, in_words
from bayplan.operate.ask import check_hosts
from bayplan.operate.tree_digest import Digest, digested
from bayplan.operate.volumes import (
    AT,
    Copied,
    OnBytes,
    Written,
    as_made,
    as_sent,
    check_absent,
    fill,
    is_closed,
    mount_at,
    opened,
    running,
    volumes,
)
from bayplan.ports import Engine, FleetPorts

_CHUNK = 1 << 20
_MINE = 0o600
_Packer = Callable[..., Any]
_GZIP, _BZIP, _XZ = cast("_Packer", gzip.open), cast("_Packer", bz2.open), cast("_Packer", lzma.open)
_BY_NAME: Final[Mapping[str, _Packer]] = {".gz": _GZIP, ".tgz": _GZIP, ".bz2": _BZIP, ".xz": _XZ}
_BY_START: Final[Mapping[bytes, _Packer]] = {b"\x1f\x8b": _GZIP, b"BZh": _BZIP, b"\xfd7zXZ": _XZ}
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, OSError)  # bz2 says OSError of what is none


async def backup(
    ports: FleetPorts,
    app: str,
    said: str,
    file: Path,
    on: OnBytes,
    *,
    written: Written = dict,
    host: str | None = None,
    live: bool = False,
) -> Copied:
    """A volume as a tar, packed as the file's name says, with its checksum beside it (`FILE.sha256`).

    What mounts it stands still meanwhile, unless live: what is copied is as after a power cut, at one moment.
    Raises UsageError, BayplanError for what the disk refuses.
    """
    known = await volumes(ports, app, written, said)
    home, entry = known.home_of(said, host)
    if not live and known.paused[home] & entry.used_by.keys():
        await _check_alone(ports, home, entry.name)
        known = await volumes(ports, app, written, said)
        home, entry = known.home_of(said, host)
    engine, digest, size = ports.engines[home], Digest(), 0
    with _written(file) as out:
        async with (
            _mended(ports, home, entry.name, known.paused[home] & entry.used_by.keys()),
            opened(ports, home, Mounted(mount_at(), entry.name)) as at,  # first: what stands still has it open
            _frozen(engine, () if live else running(entry)),
            digested(engine.read_tree(at, AT), lambda n: on("read", n), digest, as_sent(entry.name, home)) as chunks,
        ):
            async for chunk in chunks:
                await asyncio.to_thread(out.write, chunk)
                size += len(chunk)
    return Copied(entry.name, home, size, digest.entries, digest.value)


async def restore(
    ports: FleetPorts, app: str, said: str, file: Path, host: str, on: OnBytes, *, written: Written = dict
) -> Copied:
    """A backup as a volume of that host, which must not have it yet; read back and compared.

    Raises UsageError, EngineError when it is not what was written: then it is removed again.
    """
    check_hosts(ports.fleet, (host,))
    known = await volumes(ports, app, written, said)
    made = as_made(known, said)
    check_absent(known, made.name, host)
    await asyncio.to_thread(_check_file, file)
    digest, unread = Digest(), list[BayplanError]()
    try:
        async with digested(_read(file, unread), lambda n: on("write", n), digest, str(file)) as source:
            return await fill(known, made, host, source, digest, on)
    except BayplanError as error:
        if not (unread or digest.fault):
            raise
        # what the engine says of it then is that it was sent no more
        raise BayplanError(f"{(unread or [error])[0].what}; nothing was restored") from error


@asynccontextmanager
async def _mended(ports: FleetPorts, host: str, volume: str, paused: Collection[str]) -> AsyncIterator[None]:
    """What a backup left paused that was killed goes on, unless another that still lives paused it."""
    try:
        yield
    finally:
        if paused:
            await asyncio.shield(_go_on(ports, host, volume, paused))


async def _go_on(ports: FleetPorts, host: str, volume: str, paused: Collection[str]) -> None:
    if await is_closed(ports, host, volume):
        await _thawed(ports.engines[host], paused)


async def _check_alone(ports: FleetPorts, host: str, volume: str) -> None:
    """What another process froze goes on when that one has ended, and would write to what is read here."""
    if not await is_closed(ports, host, volume):
        raise UsageError(
            f"{volume} on {host} is being copied by another bayplan",
            todo="wait until that has ended; or do not mind what writes to it meanwhile: --live",
        )


@asynccontextmanager
async def _frozen(engine: Engine, names: Collection[str]) -> AsyncIterator[None]:
    """What is left paused by a kill goes on with the next `up`, or backup. Raises BayplanError if one did meanwhile."""
    done: list[str] = []
    freezing = asyncio.create_task(_freeze(engine, names, done))
    try:
        await asyncio.shield(freezing)
        yield
        for name in done:
            await _check_stood(engine, name)
    finally:
        await asyncio.shield(_go_on_after(freezing, engine, done))


async def _freeze(engine: Engine, names: Collection[str], done: list[str]) -> None:
    for name in names:
        await engine.pause(name)
        done.append(name)


async def _go_on_after(freezing: asyncio.Task[None], engine: Engine, done: Collection[str]) -> None:
    """Not before: an engine goes on with what it was asked for, though nobody waits for it any more."""
    await asyncio.gather(freezing, return_exceptions=True)
    await _thawed(engine, done)


async def _check_stood(engine: Engine, name: str) -> None:
    """What another `up` lets go on has written meanwhile: what was read is of no one moment."""
    with suppress(NotFoundError):
        if (await engine.inspect(name))["State"]["Status"] == "paused":
            return
    todo = "back it up again while nobody changes the app: bayplan up lets go on what is paused"
    raise BayplanError(f"{name} did not stand still while its volume was read", where=engine.host, todo=todo)


async def _thawed(engine: Engine, names: Collection[str]) -> None:
    """All that can be. Raises BayplanError for the others."""
    frozen: dict[str, BayplanError] = {}
    for name in names:
        try:
            await engine.start(name)
        except BayplanError as error:
            frozen[name] = error
    if frozen:
        first = next(iter(frozen.values()))
        told = f"{' and '.join(frozen)} stands frozen: {first.what}"
        raise BayplanError(told, where=engine.host, todo="bayplan up lets it go on, once its host answers") from first


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """What is written is that file, or what it is a link to, once it is whole and on the disk, its checksum beside it.

    A volume has files that not everyone may read: others may read the backup only if they might read our last one.
    Raises BayplanError, UsageError.
    """
    pack = _BY_NAME.get(file.suffix)
    file = _target(file)
    part = file.with_name(f"{file.name}.{uuid4().hex[:8]}.part")  # another process may write the same file
    try:
        with _draft(part) as raw:
            if file.exists() and (last := file.stat()).st_uid == os.geteuid():
                os.fchmod(raw.fileno(), stat.S_IMODE(last.st_mode))
            with pack(raw, "wb") if pack else nullcontext(raw) as out:
                yield out
            raw.flush()
            raw.seek(0)
            found = hashlib.file_digest(raw, "sha256").hexdigest()
            os.fsync(raw.fileno())
            if not part.exists():
                os.link(f"/proc/self/fd/{raw.fileno()}", part, src_dir_fd=raw.fileno())  # with one, links are followed
        _checksum(file).unlink(missing_ok=True)  # killed from here on, the new file must not have the old one's
        part.replace(file)
        _checksum(file).write_text(f"{found}  {file.name}\n")
        _settle(_checksum(file))
        _settle(file.parent)
    except OSError as error:
        raise BayplanError(f"{file} cannot be written: {in_words(error)}") from error
    finally:
        with suppress(OSError):  # of a file system that cannot be written at all
            part.unlink(missing_ok=True)


def _draft(part: Path) -> BufferedRandom:
    """A file without a name, which a kill takes with it; where the file system has none (NFS, macOS), by that name."""
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed and Path("/proc/self/fd").is_dir():
        with suppress(OSError):
            return os.fdopen(os.open(part.parent, unnamed | os.O_RDWR, _MINE), "w+b")
    return os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MINE), "w+b")


def _settle(path: Path) -> None:
    """On the disk, a directory's names too."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _target(file: Path) -> Path:
    """Where a link leads. Raises UsageError for a device, pipe or socket: it would become a file."""
    if str(file) == "-":
        raise UsageError("a backup is written to a file, not to standard output", todo="name the file: data.tar")
    if file.is_dir():
        raise UsageError(f"{file} is a directory", todo=f"name the file: {file / 'data.tar'}")
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is no regular file, which a backup replaces once it is whole", todo="name another")
    if file.is_symlink() and is_planted(file.lstat(), file.parent.stat(), os.geteuid()):
        raise UsageError(f"{file} is a link of another user's", todo="name a file in a directory of your own")
    return _behind(file) if file.is_symlink() else file


def is_planted(link: os.stat_result, directory: os.stat_result, us: int) -> bool:
    """By who may put a link where everyone may, as in /tmp: by Linux's own rule (proc(5), protected_symlinks), which
    does not see us follow it.
    """
    shared = stat.S_ISVTX | stat.S_IWOTH
    return directory.st_mode & shared == shared and link.st_uid not in (us, directory.st_uid)


def _behind(link: Path) -> Path:
    return Path(os.path.realpath(link))  # Path.resolve has no error of ours for links in a circle


def _checksum(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


async def _read(file: Path, unread: list[BayplanError]) -> AsyncGenerator[bytes]:
    """A tar, unpacked if it is a packed one. unread: gets what is raised, as who sends it on makes another of it."""
    with file.open("rb") as raw:
        start = raw.read(8)
        raw.seek(0)
        unpack = next((packer for magic, packer in _BY_START.items() if start.startswith(magic)), None)
        source = unpack(raw, "rb") if unpack else raw
        try:
            while chunk := await asyncio.to_thread(source.read, _CHUNK):
                yield chunk
        except _BROKEN as broken:
            unread.append(BayplanError(f"{file} cannot be {'unpacked' if unpack else 'read'}: {in_words(broken)}"))
            raise unread[0] from broken


def _check_file(file: Path) -> None:
    """Against the checksum beside it, if there is one."""
    try:
        beside = _checksum(file) if _checksum(file).exists() else _checksum(_behind(file))
        wanted = beside.read_text().split()[:1] if beside.exists() else []
        with file.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest() if wanted else ""
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {in_words(error)}") from error
    if wanted and wanted != [found]:
        raise BayplanError(f"{file} is not what was backed up: its checksum differs from {beside.name}")
