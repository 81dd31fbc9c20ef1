"""From a few replicas to many, until all of them answer through the balancer."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from bench.metrics import Figure, seconds
from bench.operations import engine_api, swarm
from bench.operations.load import until_distinct
from bench.operations.quiet import quiet
from bench.stage import APP, CPUS, FEW, MANY, MEMORY, PORT, SERVICE, Stage

AT_ONCE = (2, 4, 9)  # containers on one host: few leave a core idle, many wait for each other in the engine
LIMIT = 1.15


def measure(stage: Stage, runs: int) -> Iterator[Figure]:
    """bayplan, the bare Engine API at each concurrency, and Swarm, in turn; as often as runs says."""
    ours: list[float] = []
    bare: dict[int, list[float]] = defaultdict(list)
    theirs: list[float] = []
    for number in range(runs):
        stage.say(f"scale {FEW} to {MANY}: round {number + 1} of {runs}")
        stage.at(FEW)
        quiet()
        before = engine_api.running(stage.sockets, APP)
        ours.append(_bayplan(stage))
        bodies = engine_api.capture(stage.sockets, APP, without=before)
        image = _image(bodies)
        stage.at(FEW)
        for at_once in AT_ONCE:
            quiet()
            bare[at_once].append(engine_api.replay(stage.sockets, bodies, at_once))
        quiet()
        theirs.append(_swarm(stage, image))
        stage.say(
            f"  bayplan {ours[-1]:.2f} s; bare API "
            + ", ".join(f"{bare[n][-1]:.2f} s at {n} a host" for n in AT_ONCE)
            + f"; swarm {theirs[-1]:.2f} s"
        )
    yield from _figures(ours, bare, theirs)


def _figures(ours: list[float], bare: dict[int, list[float]], theirs: list[float]) -> Iterator[Figure]:
    best = min(AT_ONCE, key=lambda n: median(bare[n]))
    what = f"`bayplan scale web={MANY}` from {FEW}, until {MANY} answer through the balancer"
    api = seconds(f"bare Engine API ({best} at once on a host)", bare[best])
    others = tuple(f"bare API at {n} a host: {median(bare[n]):.2f} s" for n in AT_ONCE)
    yield Figure("scale", seconds(what, ours), LIMIT, api, notes=others)
    yield Figure("scale", seconds(what, ours), 1.0, seconds("docker service scale", theirs))


def _bayplan(stage: Stage) -> float:
    begun = time.perf_counter()
    stage.bayplan.timed("scale", f"{SERVICE}={MANY}")
    until_distinct(stage.address, PORT, MANY)
    return time.perf_counter() - begun


def _swarm(stage: Stage, image: str) -> float:
    with swarm.swarm(stage.lab):
        return swarm.scaled(stage.lab, image, FEW, MANY, CPUS, MEMORY)


def _image(bodies: engine_api.Bodies) -> str:
    """The image that the replicas run, as bayplan pinned it; every engine has it."""
    return next(body.image for many in bodies.values() for body in many)
