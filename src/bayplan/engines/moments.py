"""Moments: how long ago one was, whatever became of the clocks, and as the engine's logs want it written."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_RFC_3339 = re.compile(r"^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|z|[+-]\d\d:\d\d)?$")


class Moment:
    """A moment, by two clocks: one stands still while a machine sleeps, and the other may be set back."""

    def __init__(self) -> None:
        self._clocks = time.monotonic(), time.time()

    @property
    def ago(self) -> float:
        """Seconds."""
        return max(time.monotonic() - self._clocks[0], time.time() - self._clocks[1])


def unix(moment: str) -> str:
    """Seconds since 1970 of an RFC 3339 time, to the nanosecond; anything else as it is (the engine will judge it)."""
    parts = _RFC_3339.match(moment)
    if parts is None:
        return moment
    day, clock, fraction, zone = parts.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}{(zone or 'Z').upper()}").astimezone(UTC)
    return f"{int(whole.timestamp())}.{(fraction or '0')[:9]:0<9}"
