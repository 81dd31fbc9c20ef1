"""Sockets of this machine: the private directory where forwarded ones live, whether one is listened on, a lock."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bayplan.errors import BayplanError, DeadlineError, in_words

LONGEST = 108 - 1 - 17  # sun_path, its end, and what ssh adds while it makes a control socket
_NAMES = len("/0123456789ab-01234567.s")
_POLL = 0.05  # seconds


def private_dir() -> Path:
    """A directory of this user's alone, short enough for sockets' names, made if needed. Raises BayplanError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    fits = runtime.startswith("/") and len(runtime) + len("/bp") + _NAMES <= LONGEST
    path = Path(runtime, "bp") if fits and _is_ours(Path(runtime)) else Path(f"/tmp/bp-{os.geteuid()}")  # noqa: S108  its owner and mode are checked
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        seen = path.lstat()
    except OSError as error:
        raise BayplanError(
            f"{path}, where connections to hosts are kept, cannot be made: {in_words(error)}",
            todo="name a directory of yours that can be written: XDG_RUNTIME_DIR",
        ) from error
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        raise BayplanError(
            f"{path} is not a private directory of yours, and connections to hosts would be open to others",
            todo=f"remove it, or make it yours: chmod 700 {path}",
        )
    return path


def _is_ours(directory: Path) -> bool:
    """Ours to write. After `su` or `sudo -E` the environment names the runtime directory of another user."""
    try:
        return directory.stat().st_uid == os.geteuid() and os.access(directory, os.W_OK)
    except OSError:
        return False


def accepts(path: Path) -> bool:
    """Whether someone listens on a UNIX socket. Never blocks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno == errno.EAGAIN  # its backlog is full: a listener that is busy
    return True


@asynccontextmanager
async def alone(lock: Path, deadline: float) -> AsyncIterator[None]:
    """One task of one process at a time, by a lock on a file, gone with its holder. Raises DeadlineError."""
    held = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        await _take(held, lock, deadline)
        yield
    finally:
        os.close(held)


async def _take(held: int, lock: Path, deadline: float) -> None:
    try:
        async with asyncio.timeout(deadline):
            while not _taken(held):  # noqa: ASYNC110  another process holds it, no event tells
                await asyncio.sleep(_POLL)
    except TimeoutError as late:
        raise DeadlineError(
            f"another bayplan has held {lock} for {deadline:g} s",
            todo="it is connecting to the same host; see what it waits for",
        ) from late


def _taken(held: int) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
