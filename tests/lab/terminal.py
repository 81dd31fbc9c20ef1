"""A command on a terminal of its own, as a person has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.site import PATIENCE


@dataclass(frozen=True)
class Terminal:
    """A command, and what is at the other end of its terminal: a keyboard and a screen."""

    process: subprocess.Popen[bytes]
    other_end: int

    def types(self, text: bytes) -> None:
        os.write(self.other_end, text)

    def shows(self, wanted: bytes) -> None:
        """Until it does; fails with what it showed instead, when no more comes."""
        said = b""
        while wanted not in said and select.select([self.other_end], [], [], PATIENCE)[0]:
            try:
                said += os.read(self.other_end, 1024)
            except OSError:  # what a terminal's end is
                break
        assert wanted in said, said


@contextmanager
def on_a_terminal(
    argv: Sequence[str], directory: Path, environment: Mapping[str, str], size: tuple[int, int] = (24, 80)
) -> Iterator[Terminal]:
    """size: rows and columns."""
    other_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        argv, cwd=directory, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    )  # fmt: skip
    os.close(terminal)
    try:
        yield Terminal(process, other_end)
    finally:
        process.kill()
        process.wait()
        os.close(other_end)
