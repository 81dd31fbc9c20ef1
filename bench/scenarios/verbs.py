"""How long a command takes that has nothing to do."""

from __future__ import annotations

from collections.abc import Iterator

from bench.metrics import Figure, seconds
from bench.stage import FEW, Stage

AGAIN = 3  # times as many runs: each is short, and so is what disturbs it


def up(stage: Stage, runs: int) -> Iterator[Figure]:
    """`up` when all is as the file says."""
    stage.at(FEW)
    stage.bayplan.timed("up")
    yield _figure("up", "`bayplan up` with nothing to do", 1.0, stage, runs, "up")


def ps(stage: Stage, runs: int) -> Iterator[Figure]:
    """`ps`."""
    yield _figure("ps", "`bayplan ps`", 0.6, stage, runs, "ps")


def help_(stage: Stage, runs: int) -> Iterator[Figure]:
    """`--help`."""
    yield _figure("help", "`bayplan --help`", 0.15, stage, runs, "--help")


def _figure(scenario: str, what: str, limit: float, stage: Stage, runs: int, *words: str) -> Figure:
    stage.say(what.replace("`", ""))
    took = [stage.bayplan.timed(*words) for _ in range(runs * AGAIN)]
    return Figure(scenario, seconds(what, took), limit)
