"""This process's terminal while a command in a container has it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import termios
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

Resize = Callable[[int, int], Awaitable[None]]  # rows, columns
_SIZE = struct.Struct("HHHH")


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Every key as it is typed; the terminal as it was afterwards, whatever happens."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def size(descriptor: int) -> tuple[int, int]:
    """Rows and columns."""
    rows, columns, _, _ = _SIZE.unpack(fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * _SIZE.size))
    return rows, columns


@contextmanager
def resizes(descriptor: int, resize: Resize) -> Iterator[None]:
    """Tell of each change of the window's size."""
    loop = asyncio.get_running_loop()
    telling: set[asyncio.Task[Any]] = set()

    def changed() -> None:
        task = asyncio.ensure_future(resize(*size(descriptor)))
        telling.add(task)
        task.add_done_callback(telling.discard)

    loop.add_signal_handler(signal.SIGWINCH, changed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        for task in telling:
            task.cancel()


async def chunks(descriptor: int, most: int) -> AsyncIterator[bytes]:
    """What is read from a terminal, pipe or file, until its end.

    Read only when something is there: the descriptor stays blocking, as the shell that shares it expects.
    """
    while True:
        await _readable(descriptor)
        try:
            data = os.read(descriptor, most)
        except OSError:  # its terminal hung up
            return
        if not data:
            return
        yield data


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:  # a regular file always is
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
