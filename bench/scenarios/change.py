"""Changes under load: no request fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.metrics import Figure, count, seconds
from bench.operations.load import counting_meanwhile, wrk_meanwhile
from bench.stage import FEW, MANY, PORT, SERVICE, Stage

RELEASED = 12  # replicas that are replaced


def removal(stage: Stage, _runs: int) -> Iterator[Figure]:
    """27 of 30 replicas removed."""
    stage.at(MANY)
    stage.say(f"scale {MANY} to {FEW} under load")
    what = f"scale {MANY} to {FEW}"
    yield from _under_load("removal", what, stage, lambda: stage.bayplan.timed("scale", f"{SERVICE}={FEW}"))


def release(stage: Stage, _runs: int) -> Iterator[Figure]:
    """Every replica replaced by one of a new release."""
    stage.bayplan.timed("up", environment={"REPLICAS": str(RELEASED)})
    stage.say(f"a release of {RELEASED} replicas under load")
    new = {"REPLICAS": str(RELEASED), "RELEASE": "two"}
    what = f"`up` of one changed line, {RELEASED} replicas"
    yield from _under_load("release", what, stage, lambda: stage.bayplan.timed("up", environment=new))


def _under_load(scenario: str, what: str, stage: Stage, change: Callable[[], float]) -> Iterator[Figure]:
    with wrk_meanwhile(stage.url) as told, counting_meanwhile(stage.address, PORT) as seen:
        took = change()
    note = f"first failure: {seen.first_failure}" if seen.first_failure else f"at {told.rate:.0f} requests/s"
    yield Figure(scenario, seconds(f"{what} under load", [took]), notes=(note,))
    kept = count(f"of wrk's {told.requests} requests during it, failed", [told.failed])
    fresh = count(f"of {seen.requests} requests on new connections during it, failed", [seen.failed])
    yield Figure(scenario, kept, 0)
    yield Figure(scenario, fresh, 0)
