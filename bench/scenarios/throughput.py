"""Requests a second through the balancer, beside a configuration written by hand over the same endpoints."""

from __future__ import annotations

from collections.abc import Iterator

from bench.metrics import Figure, Runs, count
from bench.operations.load import Told, until_distinct, wrk
from bench.operations.reference import PORT as REFERENCE_PORT
from bench.operations.reference import reference
from bench.stage import MANY, Stage

SECONDS = 2  # one right after the other: a machine's speed wanders by a tenth within ten seconds
PAIRS = 5  # for each round of the other benchmarks
LIMIT = 0.95


def measure(stage: Stage, runs: int) -> Iterator[Figure]:
    """In pairs, each beginning with the other one, after a warm-up of each."""
    stage.at(MANY)
    stage.say(f"throughput: {runs * PAIRS} x {SECONDS} s each, in turn")
    endpoints = [i["endpoint"] for i in stage.bayplan.instances()]
    with reference(stage.lab.socket(stage.lab.hosts[0].name), "haproxy:3.0", stage.address, endpoints) as other:
        until_distinct(stage.address, REFERENCE_PORT, MANY)
        told: dict[str, list[Told]] = {stage.url: [], other: []}
        for url in told:
            wrk(url, 1)
        for number in range(runs * PAIRS):
            for url in list(told)[:: 1 if number % 2 else -1]:
                told[url].append(wrk(url, SECONDS))
    ours, theirs = told[stage.url], told[other]
    what = f"requests through the balancer to {MANY} replicas, keep-alive"
    yield Figure("throughput", _rates(what, ours), LIMIT, _rates("hand-written HAProxy", theirs), at_most=False)
    yield Figure("throughput", count("requests of these that failed", [sum(t.failed for t in ours)]), 0)


def _rates(what: str, told: list[Told]) -> Runs:
    return Runs(what, "requests/s", tuple(t.rate for t in told))
