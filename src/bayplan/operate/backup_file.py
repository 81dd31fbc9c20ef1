"""The file of a backup on this machine: whole or not there, its checksum beside it, packed as its name says."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import lzma
import os
import stat
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from uuid import uuid4

from bayplan.errors import BayplanError, UsageError, in_words

_CHUNK = 1 << 20
_MINE = 0o600
_Packer = Callable[..., Any]
_GZIP, _BZIP, _XZ = cast("_Packer", gzip.open), cast("_Packer", bz2.open), cast("_Packer", lzma.open)
_BY_NAME: Final[Mapping[str, _Packer]] = {".gz": _GZIP, ".tgz": _GZIP, ".bz2": _BZIP, ".xz": _XZ}
_BY_START: Final[Mapping[bytes, _Packer]] = {b"\x1f\x8b": _GZIP, b"BZh": _BZIP, b"\xfd7zXZ": _XZ}
_BROKEN = (EOFError, zlib.error, lzma.LZMAError, OSError)  # bz2 says OSError of what is none


@contextmanager
def written(file: Path) -> Iterator[BinaryIO]:
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


async def read(file: Path, unread: list[BayplanError]) -> AsyncGenerator[bytes]:
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


def check(file: Path) -> None:
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
