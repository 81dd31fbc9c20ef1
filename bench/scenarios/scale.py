"""From a few replicas to many, until all of them answer through the balancer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median

from bench.metrics import Figure, seconds
from bench.operations import engine_api, swarm
from bench.operations.parts import Parts
from bench.operations.quiet import quiet
from bench.stage import APP, CPUS, FEW, MANY, MEMORY, Stage

AT_ONCE = (2, 4, 9)  # containers on one host: few leave a core idle, many wait for each other in the engine
LIMIT = 1.15
OURS, THEIRS = "bayplan", "docker service scale"


def measure(stage: Stage, runs: int) -> Iterator[Figure]:
    """bayplan, the bare Engine API at each concurrency, and Swarm: in turn, each round beginning with another."""
    parts = Parts(stage.sockets, APP)
    turns = _turns(stage, _bodies(stage), parts)
    took: dict[str, list[float]] = {name: [] for name in turns}
    loading: list[float] = []
    for number in range(runs):
        quiet()
        loading.append(stage.bayplan.loading())
        for name in _rotated(list(turns), number):
            quiet()
            took[name].append(turns[name]())
            stage.say(f"  {name}: {took[name][-1]:.2f} s")
    yield from _figures(took, parts, loading)


def _bodies(stage: Stage) -> engine_api.Bodies:
    """The containers that bayplan makes, from a first time that is not measured."""
    stage.say(f"scale {FEW} to {MANY}: what bayplan creates")
    before = engine_api.running(stage.sockets, APP)
    stage.at(MANY)
    bodies = engine_api.capture(stage.sockets, APP, without=before)
    stage.at(FEW)
    return bodies


def _turns(stage: Stage, bodies: engine_api.Bodies, parts: Parts) -> Mapping[str, Callable[[], float]]:
    image = next(body.image for many in bodies.values() for body in many)  # pinned by digest; every engine has it
    bare = {_bare(n): partial(engine_api.replay, stage.sockets, bodies, n) for n in AT_ONCE}
    return {OURS: partial(_bayplan, stage, parts), **bare, THEIRS: partial(_swarm, stage, image)}


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def _figures(took: Mapping[str, list[float]], parts: Parts, loading: list[float]) -> Iterator[Figure]:
    what = f"`bayplan scale web={MANY}` from {FEW}, until {MANY} answer through the balancer"
    ours, best = seconds(what, took[OURS]), min((_bare(n) for n in AT_ONCE), key=lambda name: median(took[name]))
    others = tuple(f"{_bare(n)}: {median(took[_bare(n)]):.2f} s" for n in AT_ONCE)
    yield Figure("scale", ours, LIMIT, seconds(best, took[best]), notes=others)
    yield Figure("scale", ours, 1.0, seconds(THEIRS, took[THEIRS]))
    yield from parts.figures("scale", seconds(best, took[best]))
    yield Figure("scale", seconds("Python starting, and loading what `scale` runs, in a process of its own", loading))
    floor = f"the same {MANY - FEW} containers by the {best}: what no program can be faster than that makes them"
    yield Figure("scale", seconds(floor, took[best]), None, seconds(THEIRS, took[THEIRS]))


def _bare(at_once: int) -> str:
    return f"bare Engine API, {at_once} at once on a host"


def _bayplan(stage: Stage, parts: Parts) -> float:
    took = parts.timed(lambda: stage.at(MANY))
    stage.at(FEW)
    return took


def _swarm(stage: Stage, image: str) -> float:
    with swarm.swarm(stage.lab):
        return swarm.scaled(stage.lab, image, FEW, MANY, CPUS, MEMORY)
