"""Where the time of a command that makes containers goes: before the first, while they are made, after the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from bench.metrics import Figure, Runs, seconds
from bench.operations import engine_api
from bench.operations.engine_api import Sockets

_BEFORE, _MAKING, _AFTER = (
    "of it, until the first container is created",
    "of it, from then until the last has been started",
    "of it, from then until it is done",
)


class Parts:
    """Of each run of one command. sockets: the engines'; app: whose containers it makes."""

    def __init__(self, sockets: Sockets, app: str) -> None:
        self._sockets, self._app = sockets, app
        self._found: list[tuple[float, float, float]] = []

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds that it takes; of its parts a note is made afterwards."""
        begun = time.time()  # the engines' clock
        work()
        ended = time.time()
        first, last = engine_api.made_since(self._sockets, self._app, begun)
        self._found.append((first - begun, last - first, ended - last))
        return ended - begun

    def figures(self, scenario: str, bare: Runs) -> Iterator[Figure]:
        """The making beside the bare API's."""
        for name, values in zip((_BEFORE, _MAKING, _AFTER), zip(*self._found, strict=True), strict=True):
            yield Figure(scenario, seconds(name, values), None, bare if name == _MAKING else None)
