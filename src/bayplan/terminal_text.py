"""Text that a program wrote for a terminal of its own, as lines for somewhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Control sequences, commands to the terminal and short escapes (ECMA-48), and control characters but the tab and the
# line end; those of eight bits too, which some terminals take for the beginning of a sequence.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def plain(text: str) -> str:
    """Without colours and what else moves a terminal."""
    return _CONTROL.sub("", text)


def left_on_screen(text: str) -> Iterator[str]:
    """The lines that are left when it has been shown: a carriage return begins a line anew, as progress bars do."""
    for line in text.replace("\r\n", "\n").split("\n"):
        if left := plain(line.rpartition("\r")[2]).rstrip():
            yield left
