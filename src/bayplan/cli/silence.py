"""What is told when nothing has happened for a while: what is waited for, and why."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

from bayplan.cli.story import in_short
from bayplan.plan.steps import Held, Plan, Waiting

SILENCE = 5.0  # seconds without a line
STILL = 60.0  # seconds after which the same is told again: a log that stands still looks dead


class Silence:
    """When there was a line last, and what was told of when."""

    def __init__(self) -> None:
        self._heard = time.monotonic()
        self._told: dict[Waiting | Held, float] = {}

    def ends(self) -> None:
        """There is a line."""
        self._heard = time.monotonic()

    def broken(self, plan: Plan) -> Iterator[str]:
        """What the plan waits for, a line a reason; none while lines come, and none of what was told a moment ago."""
        now = time.monotonic()
        if now - self._heard < SILENCE:
            return
        by_reason: dict[str, list[Waiting]] = defaultdict(list)
        for waiting in plan.waiting:
            by_reason[waiting.why].append(waiting)
        told: list[tuple[tuple[Waiting | Held, ...], str]]
        told = [(tuple(there), _of_replicas(why, there)) for why, there in by_reason.items()]
        told += [((held,), f"{held.service} {held.why}") for held in plan.held]
        is_long = now - self._heard >= STILL
        for what, line in told:
            if any(one not in self._told or (is_long and now - self._told[one] >= STILL) for one in what):
                self._told |= dict.fromkeys(what, now)
                yield line


def _of_replicas(why: str, there: list[Waiting]) -> str:
    names: dict[str, list[str]] = defaultdict(list)
    for waiting in there:
        names[waiting.host].append(waiting.replica or waiting.service)
    what = ", ".join(f"{in_short(sorted(those))} on {host}" for host, those in names.items())
    return f"waits: {what} {why}" if len(there) == 1 else f"waits: {what}: each {why}"
