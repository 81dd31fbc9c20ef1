"""Waiting until the machine has nothing else to do: what one measurement leaves behind is not the next one's to pay."""

from __future__ import annotations

import time
from pathlib import Path

WINDOW = 0.5  # seconds
IDLE = 0.85  # of all cores
PATIENCE = 5.0  # seconds; a machine that others use is measured as it is


def busy() -> float:
    """The share of all cores that is in use now, 0 to 1."""
    return 1 - _idle_share()


def quiet() -> bool:
    """Whether the cores were idle for a while before patience ended."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if _idle_share() >= IDLE:
            return True
    return False


def _idle_share() -> float:
    idle, total = _ticks()
    time.sleep(WINDOW)
    idle_then, total_then = _ticks()
    return (idle_then - idle) / max(1, total_then - total)


def _ticks() -> tuple[int, int]:
    """(idle and waiting for disks, all) since the machine started."""
    told = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return told[3] + told[4], sum(told)
