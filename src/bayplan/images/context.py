"""The build context: which files are sent to the engine, and the tag that says what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bayplan.errors import ImageError
from bayplan.images.ignore import Ignore, read_ignore
from bayplan.spec.model import Build

INLINE = ".bayplan.Dockerfile"  # what an inline Dockerfile is called on its way
IGNORE = ".dockerignore"
_PIECE = 1 << 20  # bytes of a file at a time
_VERSION = "1"  # of the digest: another way to count is another tag


@dataclass(frozen=True, slots=True)
class Packed:
    """A context on its way. pieces: of a tar, read from the disk as they are asked for; dockerfile: its path within;
    instructions: what that says.
    """

    pieces: Iterable[bytes]
    dockerfile: str
    instructions: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file, directory or link of the context. path: relative, with slashes; link: where a symbolic link leads."""

    path: str
    source: Path
    status: os.stat_result
    link: str = ""


def content_tag(build: Build) -> str:
    """`c-` and 16 hex digits that change with what the image is made of.

    The context's files (content, mode, names), Dockerfile, args, target, labels, platform, and whom its steps reach;
    not times, nor where the context lies, so that two clones of one commit are the same image. Raises ImageError.
    """
    total = hashlib.sha256(_VERSION.encode())
    dockerfile, content = _dockerfile(build)
    said = [dockerfile, content.decode(errors="replace"), dict(build.args), build.target, dict(build.labels)]
    around = [build.network, *build.extra_hosts] if build.network or build.extra_hosts else []
    around += build.platforms
    total.update(json.dumps([*said, *around], sort_keys=True).encode())
    for entry in _entries(build):
        total.update(f"\0{stat.S_IMODE(entry.status.st_mode):o}\0".encode() + os.fsencode(entry.path) + b"\0")
        total.update(_file_digest(entry) if stat.S_ISREG(entry.status.st_mode) else os.fsencode(entry.link))
    return f"c-{total.hexdigest()[:16]}"


def pack(build: Build) -> Packed:
    """The context as a tar: sorted, owned by root, never whole in memory. Raises ImageError, its pieces too.

    Times are kept: web servers make ETags and Last-Modified of them, and a fixed time would have browsers keep the file
    of the release before.
    """
    dockerfile, content = _dockerfile(build)
    return Packed(_pieces(dockerfile, content, tuple(_entries(build))), dockerfile, content.decode(errors="replace"))


def _pieces(dockerfile: str, content: bytes, entries: tuple[_Entry, ...]) -> Iterator[bytes]:
    hidden = () if any(e.path == dockerfile for e in entries) else (dockerfile,)
    for entry in entries:
        if not (hidden and entry.path == IGNORE):
            yield from _member(entry)
    for name, data in _unseen(hidden, content, entries):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        yield info.tobuf() + data + _padding(info.size)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _unseen(hidden: tuple[str, ...], dockerfile: bytes, entries: tuple[_Entry, ...]) -> Iterator[tuple[str, bytes]]:
    """A Dockerfile that the image must not see: sent, with a line that has the engine take it away, as docker does."""
    if not hidden:
        return
    yield hidden[0], dockerfile
    own = next((e for e in entries if e.path == IGNORE), None)
    lines = [own.source.read_text() if own else IGNORE, *(re.sub(r"([*?\[\\])", r"\\\1", name) for name in hidden)]
    yield IGNORE, "\n".join([*lines, ""]).encode()


def _dockerfile(build: Build) -> tuple[str, bytes]:
    """(its path within the tar, its content)."""
    if build.dockerfile_inline is not None:
        return INLINE, build.dockerfile_inline.encode()
    path = Path(build.context, build.dockerfile)
    relative = Path(os.path.relpath(path, build.context))
    name = INLINE if os.pardir in relative.parts else posixpath.join(*relative.parts)  # outside: it is sent besides
    try:
        return name, path.read_bytes()
    except FileNotFoundError as missing:
        if not Path(build.context).is_dir():
            raise _gone(build) from missing
        raise ImageError(
            f"there is no {build.dockerfile}", where=build.context, todo="write it, or name another: build.dockerfile"
        ) from missing
    except OSError as failed:
        raise _unreadable(path, failed) from failed


def _ignore(build: Build) -> Ignore:
    """What the Dockerfile's own ignore file says, or else the context's."""
    own = [] if build.dockerfile_inline is not None else [Path(build.context, f"{build.dockerfile}{IGNORE}")]
    for path in (*own, Path(build.context, IGNORE)):
        try:
            return read_ignore(path.read_text())
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as failed:
            raise _unreadable(path, failed) from failed
        except ValueError as wrong:
            raise ImageError(f"{path.name}, {wrong}", where=str(path), todo="mend the pattern") from wrong
    return Ignore()


def _entries(build: Build) -> Iterator[_Entry]:
    """What is sent, parents before children, sorted; a parent that only an exception needs is there too."""
    root = Path(build.context)
    if not root.is_dir():
        raise _gone(build)
    ignore = _ignore(build)
    waiting: list[_Entry] = []  # ignored directories above, in case something in them is wanted
    for entry in _walk(root, "", ignore):
        waiting = [w for w in waiting if entry.path.startswith(f"{w.path}/")]
        if not ignore.matches(entry.path):
            yield from waiting
            waiting = []
            yield entry
        elif stat.S_ISDIR(entry.status.st_mode):
            waiting.append(entry)


def _walk(directory: Path, prefix: str, ignore: Ignore) -> Iterator[_Entry]:
    try:
        for source in sorted(directory.iterdir()):
            path, status = f"{prefix}{source.name}", source.lstat()
            if stat.S_ISLNK(status.st_mode):
                yield _Entry(path, source, status, str(source.readlink()))
            elif stat.S_ISREG(status.st_mode):
                yield _Entry(path, source, status)
            elif stat.S_ISDIR(status.st_mode):
                yield _Entry(path, source, status)
                if ignore.has_exceptions or not ignore.matches(path):
                    yield from _walk(source, f"{path}/", ignore)
    except OSError as failed:
        raise _unreadable(Path(failed.filename or directory), failed) from failed


def _file_digest(entry: _Entry) -> bytes:
    try:
        with entry.source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as failed:
        raise _unreadable(entry.source, failed) from failed


def _member(entry: _Entry) -> Iterator[bytes]:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime = stat.S_IMODE(entry.status.st_mode), int(entry.status.st_mtime)
    if entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        yield info.tobuf()
    elif stat.S_ISDIR(entry.status.st_mode):
        info.type = tarfile.DIRTYPE
        yield info.tobuf()
    else:
        yield from _file(entry, info)


def _file(entry: _Entry, info: tarfile.TarInfo) -> Iterator[bytes]:
    """As long as it was when it was opened, whoever writes to it meanwhile."""
    try:
        with entry.source.open("rb") as file:
            left = info.size = os.fstat(file.fileno()).st_size
            yield info.tobuf()
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise _unreadable(entry.source, ValueError("it became shorter meanwhile"))
                left -= len(piece)
                yield piece
    except OSError as failed:
        raise _unreadable(entry.source, failed) from failed
    if padding := _padding(info.size):
        yield padding


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)


def _gone(build: Build) -> ImageError:
    return ImageError(
        f"there is no directory {build.context}", todo="build.context is relative to the first Compose file"
    )


def _unreadable(path: Path, why: Exception) -> ImageError:
    said = (why.strerror if isinstance(why, OSError) else "") or str(why)
    return ImageError(
        f"cannot be read for the build: {said}", where=str(path), todo=f"make it readable, or list it in {IGNORE}"
    )
