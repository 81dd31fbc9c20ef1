"""Planning grows with the fleet and not with its square. Calls are counted, not seconds: the same on any machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from tests import given

from bayplan.facts import Facts
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.spec.model import Resources

HOSTS = 20
SMALL, LARGE = 100, 400


def calls(work: Callable[[], object]) -> int:
    """How many Python functions it called."""
    count = 0

    def note(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def fleet_with(replicas: int, release: int = 1, wanted: int | None = None) -> tuple[Goal, Goal, Facts]:
    """Nothing, a release that stands, and the facts of it."""
    on = given.fleet(*(given.host(f"h{n}", zone=f"z{n % 4}") for n in range(1, HOSTS + 1)), balancers=("h1", "h2"))
    web = given.service(replicas=replicas, resources=Resources(reserved_cpus=0.01))
    goal = given.goal(on, web)
    there = [given.replica(web, n, f"h{n % HOSTS + 1}", port=20000 + n) for n in range(1, replicas + 1)]
    image = given.IMAGE if release == 1 else "other"
    count = replicas if wanted is None else wanted
    next_one = web.model_copy(update={"image": image, "replicas": count})
    return goal, given.goal(on, next_one, release=2), given.standing(goal, *there)


def empty(replicas: int) -> Callable[[], object]:
    goal, _, _ = fleet_with(replicas)
    nothing = given.settled(goal.fleet, given.facts(*(given.up(h) for h in goal.fleet.hosts)))
    return lambda: plan(goal, nothing, 0.0)


def converged(replicas: int) -> Callable[[], object]:
    goal, _, facts = fleet_with(replicas)
    assert plan(goal, facts, 0.0).is_empty
    return lambda: plan(goal, Facts(facts.hosts), 0.0)


def next_release(replicas: int) -> Callable[[], object]:
    _, goal, facts = fleet_with(replicas, release=2)
    return lambda: plan(goal, Facts(facts.hosts), 0.0)


def scaled_down(replicas: int) -> Callable[[], object]:
    _, goal, facts = fleet_with(replicas, wanted=1)
    return lambda: plan(goal, Facts(facts.hosts), 0.0)


def silent_host(replicas: int) -> Callable[[], object]:
    goal, _, facts = fleet_with(replicas)
    hosts = {**facts.hosts, "h9": given.silent("h9")}
    return lambda: plan(goal, Facts(hosts), 0.0)


@pytest.mark.parametrize("make", [empty, converged, next_release, scaled_down, silent_host])
def test_four_times_the_replicas_are_about_four_times_the_work(make: Callable[[int], Callable[[], object]]) -> None:
    one, four = make(SMALL), make(LARGE)
    one()
    assert calls(four) < 5.5 * calls(one)
