"""What a run tells: on a whole fleet in memory, line by line; and what it makes of single events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given
from tests.memory_fleet import BAD_IMAGE, OTHER_IMAGE, MemoryFleet
from tests.virtual_time import run

from bayplan.cli.story import Story, step_failed
from bayplan.converge.outcome import PassEvent, StepEvent
from bayplan.errors import BayplanError
from bayplan.facts import Facts
from bayplan.plan.goal import Goal
from bayplan.plan.steps import Configure, Failure, Plan, PoolChange, Pull, Remove, Step
from bayplan.routing import Table
from bayplan.spec.model import Service

TWO_BALANCERS = given.fleet("h1", "h2", balancers=("h1", "h2"))


def told(*goals: Goal) -> list[str]:
    """What the last of these runs, one after another, tells."""
    memory = MemoryFleet(goals[0].fleet)

    async def runs() -> None:
        for goal in goals:
            await memory.up(goal)

    run(runs())
    return lines(*memory.events)


def lines(*events: StepEvent | PassEvent) -> list[str]:
    story = Story()
    return [*(line for event in events for line in story.heard(event)), *story.rest()]


def done(*steps: Step) -> list[StepEvent]:
    return [StepEvent(step, "done") for step in steps]


def web(replicas: int = 2, **more: object) -> Service:
    return given.service(replicas=replicas, **more)


def test_a_first_run_is_told_once_for_each_replica_however_many_gateways_there_are() -> None:
    assert told(given.goal(TWO_BALANCERS, web())) == [
        "h1, h2: created network t-shop",
        "h1, h2: pulled haproxy:3.2, shop/web",
        "h1, h2: started gateway, guard",
        "h1: started shop-web-1-r1  10.77.0.11:28080->8080",
        "h2: started shop-web-2-r1  10.77.0.12:28080->8080",
        "h1: shop-web-1-r1 takes traffic",
        "h2: shop-web-2-r1 takes traffic",
        "h1, h2: port 80 leads to web",
    ]


def test_of_what_serves_already_nothing_is_told() -> None:
    goal = given.goal(TWO_BALANCERS, web())
    assert told(goal, goal) == []


def test_an_update_tells_who_comes_and_who_goes() -> None:
    before, after = web(), web(image=OTHER_IMAGE)
    assert told(given.goal(TWO_BALANCERS, before), given.goal(TWO_BALANCERS, after, release=2)) == [
        "h1, h2: pulled shop/web",
        "h1: started shop-web-1-r2  10.77.0.11:28081->8080",
        "h1: shop-web-1-r2 takes traffic",
        "h1: shop-web-1-r1 drains",
        "h1: removed shop-web-1-r1",
        "h2: started shop-web-2-r2  10.77.0.12:28081->8080",
        "h2: shop-web-2-r2 takes traffic",
        "h2: shop-web-2-r1 drains",
        "h2: removed shop-web-2-r1",
    ]


def test_what_happens_to_many_in_a_pass_is_a_line_a_host() -> None:
    many, few = given.goal(TWO_BALANCERS, web(30)), given.goal(TWO_BALANCERS, web(3), release=2)
    assert told(many, few)[:2] == [
        "h1: shop-web-{5,7,9,11,13,15,17,19,21,23,25,27,29}-r1 drain",
        "h2: shop-web-{4,6,8,10,12,14,16,18,20,22,24,26,28,30}-r1 drain",
    ]
    on_one_host = given.fleet("h1")
    assert told(given.goal(on_one_host, web(30)), given.goal(on_one_host, web(3), release=2))[0] == (
        "h1: shop-web-{4..30}-r1 drain"
    )


def test_a_replica_that_fails_is_told_when_it_does_and_once() -> None:
    said = told(given.goal(TWO_BALANCERS, web(1, image=BAD_IMAGE)))
    why = "the gateway's probe has not passed within 60 s: nothing answers on port 8080"
    assert said[-2:] == [f"h1: shop-web-1-r1 failed: {why}", "h1: stopped shop-web-1-r1"]
    assert sum("failed" in line for line in said) == 1


def test_a_job_s_end_is_told_and_that_a_worker_is_ready() -> None:
    job = given.service("migrate", mode="replicated-job", ports=())
    one = given.replica(job, 1, "h1", state="exited", exit_code=0)
    worker = given.replica(given.service("worker", ports=()), 1, "h1")
    before, after = given.facts(given.up("h1")), given.facts(given.up("h1", one, worker))
    assert lines(PassEvent(1, before, Plan()), PassEvent(2, after, Plan(serving=(worker.id,)))) == [
        "h1: shop-migrate-1-r1 is done",
        "h1: shop-worker-1-r1 is ready",
    ]


def change(action: str, gateway: str, why: str = "") -> PoolChange:
    """Of the first of two replicas, which is on h1."""
    first = given.server(given.replica(web(), 1, "h1")).server
    return PoolChange(gateway, action, "shop.web.8080", first, why)  # type: ignore[arg-type]


@pytest.fixture
def seen() -> Facts:
    """Two replicas behind the listeners of two balancers."""
    goal = given.goal(TWO_BALANCERS, web())
    return given.standing(goal, *(given.replica(goal.app.services["web"], n, f"h{n}") for n in (1, 2)))


def test_who_drains_at_one_gateway_and_stays_at_another_is_told_with_the_reason(seen: Facts) -> None:
    one = change("drain", "h2", "h2 is no balancer any more")
    assert lines(PassEvent(1, seen, Plan((one,))), *done(one, change("leave", "h2"))) == [
        "h2: gateway drains shop-web-1-r1: h2 is no balancer any more"
    ]


def test_who_drains_everywhere_is_told_once_also_when_gateways_are_not_done_together(seen: Facts) -> None:
    both = change("drain", "h1"), change("drain", "h2")
    assert lines(
        PassEvent(1, seen, Plan(both)),
        *done(both[0]),
        PassEvent(2, seen, Plan()),
        *done(both[1], change("leave", "h1")),
    ) == ["h1: shop-web-1-r1 drains"]


def test_who_is_gone_from_its_host_and_leaves_the_pools_is_told_with_the_reason(seen: Facts) -> None:
    without = replace(seen, hosts={**seen.hosts, "h1": given.silent("h1")})
    gone = [change("leave", at, "h1 was judged down") for at in ("h1", "h2")]
    assert lines(PassEvent(1, without, Plan(tuple(gone))), *done(*gone)) == [
        "h1: shop-web-1-r1 left the pools: h1 was judged down"
    ]


def test_what_leaves_since_it_died_is_told_as_it_is_removed(seen: Facts) -> None:
    steps = change("leave", "h1", "release 2 has it no more"), Remove("h1", "web", "shop-web-1-r1", None, "")
    assert lines(PassEvent(1, seen, Plan(steps)), *done(*steps)) == ["h1: removed shop-web-1-r1"]


def test_an_image_is_named_without_the_fleet_s_registry_and_its_digest() -> None:
    names = ("localhost:5000/shop/web@sha256:0", "haproxy:3.2", "registry.example.com/shop/db@sha256:1")
    assert lines(*done(*(Pull("h1", name, "") for name in names))) == [
        "h1: pulled haproxy:3.2, registry.example.com/shop/db, shop/web"
    ]


def test_no_failure_is_lost() -> None:
    events = [StepEvent(change("ready", "h2"), "failed", error=BayplanError("it does not answer"))]
    failure = PassEvent(1, Facts(), Plan(failures=(Failure("h1", "web", "shop-web-1-r1", "exited with status 1"),)))
    assert lines(*events, failure, failure) == [
        "h2: gateway: ready shop-web-1-r1.h1: it does not answer",
        "h1: shop-web-1-r1 failed: exited with status 1",
    ]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("shop:1 cannot be pulled: no space left on device", "shop:1 cannot be pulled: no space left on device"),
        ("no space left on device", "pull shop:1: no space left on device"),
    ],
)
def test_a_step_that_failed_is_named_once(what: str, told: str) -> None:
    assert step_failed(Pull("h1", "shop:1", "is not there"), BayplanError(what)) == told


def test_a_step_of_a_whole_host_has_no_name() -> None:
    failed = BayplanError("something else listens on port 80")
    assert step_failed(Configure("h1", Table(), "adds port 80"), failed) == f"configure: {failed.what}"
