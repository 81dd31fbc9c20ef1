"""`deploy.update_config`: delay, monitor, max_failure_ratio and failure_action, one pass at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests import given

from bayplan.facts import Replica
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.steps import Plan, Run, Stop
from bayplan.spec.model import Update

FLEET = given.fleet("h1", "h2", "h3", "h4")
HOSTS = list(FLEET.hosts)


def web(**update: Any) -> Goal:
    made = Update(**{"parallelism": 1, **update})
    return given.goal(FLEET, given.service(replicas=4, update=made), release=2)


def old(goal: Goal, slot: int) -> Replica:
    of = goal.app.services["web"]
    return replace(given.replica(of, slot, HOSTS[slot - 1], port=28080 + slot), spec="older")


def new(goal: Goal, slot: int, **more: Any) -> Replica:
    return given.replica(goal.app.services["web"], slot, HOSTS[slot - 1], release=2, **more)


def run(*started: Replica, served: dict[str, float] | None = None) -> Memory:
    ids = {r.id: 0.0 for r in started}
    return Memory(tried=frozenset(ids), first_seen=ids, served=served or {})


def begun(made: Plan) -> list[int]:
    return [s.slot for s in made.steps if isinstance(s, Run)]


def passed(goal: Goal, now: float, memory: Memory, *replicas: Replica) -> Plan:
    return plan(goal, given.standing(goal, *replicas), now, memory)


def test_the_next_is_replaced_once_the_one_before_has_served_for_the_delay() -> None:
    goal = web(delay=10.0)
    first = new(goal, 1)
    rest = [old(goal, n) for n in (2, 3, 4)]
    served = {first.id: 5.0}
    early = passed(goal, 14.9, run(first, served=served), first, *rest)
    assert begun(early) == []
    assert [w.why for w in early.waiting] == ["rests for 10 s before the next is replaced"]
    assert begun(passed(goal, 15.0, run(first, served=served), first, *rest)) == [2]


def test_when_it_began_to_serve_is_told_to_be_remembered_and_counts_from_then_on() -> None:
    goal = web(delay=10.0)
    first = new(goal, 1)
    rest = [old(goal, n) for n in (2, 3, 4)]
    made = passed(goal, 50.0, run(first), first, *rest)
    assert (made.serving, begun(made)) == ((first.id,), [])


def test_what_an_earlier_run_started_does_not_rest() -> None:
    goal = web(delay=10.0)
    assert begun(passed(goal, 0.0, Memory(), new(goal, 1), *(old(goal, n) for n in (2, 3, 4)))) == [2]


def test_after_the_last_one_nothing_is_waited_for_but_the_monitor() -> None:
    for update, waits in (({"delay": 10.0}, False), ({"monitor": 10.0}, True)):
        goal = web(**update)
        all_new = [new(goal, n) for n in (1, 2, 3, 4)]
        memory = run(all_new[3], served={all_new[3].id: 0.0})
        made = passed(goal, 9.0, memory, *all_new)
        assert [(w.replica, w.why) for w in made.waiting] == (
            [(all_new[3].name, "is watched for 10 s")] if waits else []
        )
        assert passed(goal, 10.0, memory, *all_new).is_empty


def test_what_falls_within_the_monitor_has_failed_and_later_is_another_matter() -> None:
    goal = web(monitor=10.0)
    ill = new(goal, 1, health="unhealthy")
    rest = [old(goal, n) for n in (2, 3, 4)]
    memory = run(ill, served={ill.id: 0.0})
    early = passed(goal, 9.0, memory, ill, *rest)
    assert [f.why for f in early.failures] == ["was ready, and is unhealthy within 10 s of it"]
    assert begun(early) == []
    assert passed(goal, 11.0, memory, ill, *rest).failures == ()


def test_a_failure_stops_the_rest_unless_so_many_may_fail() -> None:
    for update, goes_on in (({}, False), ({"max_failure_ratio": 0.25}, True), ({"failure_action": "continue"}, True)):
        goal = web(**update)
        failed = new(goal, 1, state="exited", exit_code=1)
        made = passed(goal, 1.0, run(failed), failed, *(old(goal, n) for n in (1, 2, 3, 4)))
        assert [f.tolerated for f in made.failures] == [goes_on]
        assert begun(made) == ([2] if goes_on else [])


def test_more_than_may_fail_stop_it() -> None:
    failures = 2
    for update, goes_on in (({"max_failure_ratio": 0.25}, False), ({"failure_action": "continue"}, True)):
        goal = web(**update)
        failed = [new(goal, n, state="exited", exit_code=1) for n in range(1, failures + 1)]
        made = passed(goal, 1.0, run(*failed), *failed, *(old(goal, n) for n in (1, 2, 3, 4)))
        assert [f.tolerated for f in made.failures] == [goes_on] * failures
        assert begun(made) == ([3] if goes_on else [])


def test_one_that_is_tolerated_and_runs_is_stopped_and_its_predecessor_stays() -> None:
    goal = web(failure_action="continue")
    late = new(goal, 1, health="starting")
    olds = [old(goal, n) for n in (1, 2, 3, 4)]
    made = passed(goal, 1000.0, run(late), late, *olds)
    assert [s.replica for s in made.steps if isinstance(s, Stop)] == [late.name]
    assert begun(made) == [2]
