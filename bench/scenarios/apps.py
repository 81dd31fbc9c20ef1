"""Whole apps: the six services of an example beside the bare Engine API; one changed service of sixty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.metrics import Figure, count, seconds
from bench.operations import engine_api
from bench.operations.parts import Parts
from bench.operations.quiet import quiet
from bench.stage import Stage

ROOT = Path(__file__).parents[2]
AT_ONCE = (2, 4)
LIMIT = 1.3
SIXTY = 60


def many(stage: Stage, runs: int) -> Iterator[Figure]:
    """`up` of examples/03-many with its images there, and the same containers by the bare API, in turn."""
    bayplan = stage.bayplan.beside("many", ROOT / "examples/03-many")
    stage.say("up of examples/03-many: what bayplan creates")
    bayplan.timed("up")
    bodies = engine_api.capture(stage.sockets, "many")
    services = [f"{s['service']}=0" for s in bayplan.ps()["services"]]
    parts, ours = Parts(stage.sockets, "many"), list[float]()
    bare: dict[int, list[float]] = {n: [] for n in AT_ONCE}
    for number in range(runs):
        bayplan.timed("down")
        quiet()
        ours.append(parts.timed(lambda: bayplan.timed("up")))
        stage.say(f"  bayplan up: {ours[-1]:.2f} s")
        bayplan.timed("scale", *services)  # what the containers stand on stays: network, names
        for at_once in AT_ONCE[:: 1 if number % 2 else -1]:
            quiet()
            bare[at_once].append(engine_api.replay(stage.sockets, bodies, at_once))
            stage.say(f"  bare Engine API, {at_once} at once on a host: {bare[at_once][-1]:.2f} s")
    bayplan.timed("down")
    best = min(AT_ONCE, key=lambda n: sorted(bare[n])[runs // 2])
    made = sum(map(len, bodies.values()))
    what = f"`bayplan up` of examples/03-many ({made} containers), nothing to build, until all are ready"
    reference = seconds(f"bare Engine API, {best} at once on a host", bare[best])
    yield Figure("many", seconds(what, ours), LIMIT, reference)
    yield from parts.figures("many", reference)


def sixty(stage: Stage, _runs: int) -> Iterator[Figure]:
    """One changed service of sixty."""
    bayplan = stage.bayplan.beside("sixty")
    write = partial(_write, bayplan.directory / "compose.yaml")
    stage.say(f"up of {SIXTY} services")
    write("one")
    bayplan.timed("up")
    before = engine_api.running(stage.sockets, "sixty")
    write("two")
    took = bayplan.timed("up")
    after = engine_api.running(stage.sockets, "sixty")
    what = f"`bayplan up` that changes one of {SIXTY} services"
    yield Figure("sixty", seconds(what, [took]))
    yield Figure("sixty", count(f"{what}: containers replaced", [len(after - before)]), 1)
    yield Figure("sixty", count(f"{what}: containers gone that were not replaced", [len(before) - len(after)]), 0)
    bayplan.timed("down")


def _write(file: Path, release: str) -> None:
    """The first of the services has the release in its environment."""
    one = {"build": str(ROOT / "bench/web"), "stop_grace_period": "1s", "expose": ["8080"]}
    services = {f"s{n:02}": {**one, "environment": {"RELEASE": release if n == 0 else "one"}} for n in range(SIXTY)}
    file.write_text(json.dumps({"name": "sixty", "services": services}))
