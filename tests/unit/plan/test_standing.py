"""How one replica stands: the table at the head of plan/standing.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests import given

from bayplan.facts import ServerFacts
from bayplan.plan.goal import Memory
from bayplan.plan.standing import (
    LOOP_DEADLINE,
    START_DEADLINE,
    is_led_to,
    is_serving,
    ready_deadline,
    silent_gateway,
    why_failed,
)
from bayplan.spec.model import Exposed, Healthcheck, Probe, Resources, Service

FLEET = given.fleet("h1", "h2", balancers=("h1", "h2"))
WEB = given.service()
GOAL = given.goal(FLEET, WEB)
WORKER = Service(name="worker", image="x")


def serves(server: ServerFacts | None, **replica: Any) -> bool:
    """Ready at h2; at h1 as told."""
    made = given.replica(WEB, 1, "h1", **replica)
    at_h1 = given.serving(GOAL, {"shop.web.8080": (server,) if server else ()})
    at_h2 = given.serving(GOAL, {"shop.web.8080": (given.server(made),)})
    facts = given.facts(given.up("h1", made, gateway=at_h1), given.up("h2", gateway=at_h2))
    return is_serving(made, WEB, FLEET, facts, Memory(), 0.0)


ONE = given.replica(WEB, 1, "h1")


@pytest.mark.parametrize(
    ("server", "replica", "expected"),
    [
        (given.server(ONE), {}, True),
        (given.server(ONE, up=None), {}, True),
        (given.server(ONE, up=False), {}, False),
        (given.server(ONE, "drain"), {}, False),
        (given.server(ONE, "maint"), {}, False),
        (None, {}, False),
        (given.server(ONE), {"health": "healthy"}, True),
        (given.server(ONE), {"health": "starting"}, False),
        (given.server(ONE), {"health": "unhealthy"}, False),
        (given.server(ONE), {"state": "exited"}, False),
        (given.server(ONE), {"state": "paused"}, False),
    ],
)
def test_it_serves_when_it_takes_traffic_at_every_balancer(
    server: ServerFacts | None, replica: dict[str, Any], expected: bool
) -> None:
    assert serves(server, **replica) is expected


def test_a_balancer_that_does_not_answer_is_not_asked() -> None:
    gateway = given.serving(GOAL, {"shop.web.8080": (given.server(ONE),)})
    facts = given.facts(given.up("h1", ONE, gateway=gateway), given.silent("h2"))
    assert is_serving(ONE, WEB, FLEET, facts, Memory(), 0.0)
    assert silent_gateway(FLEET.balancer.hosts, facts) == "h2"


def test_one_that_served_has_its_time_again_when_a_gateway_does_not_answer() -> None:
    begun = Memory(frozenset({ONE.id}), {ONE.id: 0.0}, serving={ONE.id: 299.0})
    assert why_failed(ONE, WEB, begun, 300.0) is None
    assert why_failed(ONE, WEB, begun, 359.0)
    assert why_failed(replace(ONE, state="restarting"), WEB, begun, 300.0)
    assert why_failed(replace(ONE, health="unhealthy"), WEB, begun, 300.0)


def test_without_a_listener_it_serves_when_it_has_stayed_up() -> None:
    worker = given.replica(WORKER, 1, "h1")
    facts = given.facts(given.up("h1", worker))
    just_started = Memory(frozenset({worker.id}), {worker.id: 10.0})
    assert not is_serving(worker, WORKER, FLEET, facts, just_started, 10.5)
    assert is_serving(worker, WORKER, FLEET, facts, just_started, 11.0)
    assert is_serving(worker, WORKER, FLEET, facts, Memory(), 0.0)


def test_one_that_exits_and_is_restarted_has_not_stayed_up_though_it_runs_now() -> None:
    worker = given.replica(WORKER, 1, "h1", young=True)
    facts = given.facts(given.up("h1", worker))
    for run in (Memory(frozenset({worker.id}), {worker.id: 10.0}), Memory()):
        assert not is_serving(worker, WORKER, FLEET, facts, run, 20.0)


def test_with_a_health_check_and_no_listener_that_is_what_counts() -> None:
    checked = WORKER.model_copy(update={"healthcheck": Healthcheck(test=("CMD", "true"))})
    worker = given.replica(checked, 1, "h1", health="healthy")
    run = Memory(frozenset({worker.id}), {worker.id: 10.0})
    assert is_serving(worker, checked, FLEET, given.facts(given.up("h1", worker)), run, 10.0)


def test_led_to_when_every_balancer_has_the_listener() -> None:
    there = given.serving(GOAL, {"shop.web.8080": (given.server(ONE),)})
    both = given.facts(given.up("h1", gateway=there), given.up("h2", gateway=there))
    one = given.facts(given.up("h1", gateway=there), given.up("h2"))
    assert is_led_to("shop", WEB, FLEET.balancer.hosts, both)
    assert not is_led_to("shop", WEB, FLEET.balancer.hosts, one)
    assert is_led_to("shop", WORKER, FLEET.balancer.hosts, one)


@pytest.mark.parametrize(
    ("check", "seconds"),
    [
        (None, START_DEADLINE),
        (Healthcheck(test=("NONE",)), START_DEADLINE),
        (Healthcheck(), START_DEADLINE),
        (Healthcheck(test=("CMD", "true"), interval=5, timeout=2, retries=3, start_period=20), 20 + 3 * 7 + 10),
    ],
)
def test_the_deadline_follows_from_the_health_check(check: Healthcheck | None, seconds: float) -> None:
    assert ready_deadline(given.service(healthcheck=check)) == seconds


@pytest.mark.parametrize(
    ("own", "images", "seconds"),
    [
        (None, Healthcheck(test=("NONE",)), START_DEADLINE),
        (None, Healthcheck(test=("CMD", "x"), interval=300, start_period=120), 120 + 3 * 330 + 10),
        (Healthcheck(retries=1), Healthcheck(test=("CMD", "x"), interval=300, timeout=5), 1 * 305 + 10),
        (Healthcheck(test=("CMD", "y"), interval=5), Healthcheck(test=("CMD", "x"), timeout=2), 3 * 7 + 10),
        (Healthcheck(test=("NONE",)), Healthcheck(test=("CMD", "x"), interval=300), START_DEADLINE),
        (Healthcheck(interval=0, retries=0), Healthcheck(test=("CMD", "x"), interval=90), 3 * 120 + 10),
    ],
)
def test_an_images_own_check_may_take_longer(own: Healthcheck | None, images: Healthcheck, seconds: float) -> None:
    """`HEALTHCHECK --interval=5m`, the Dockerfile reference's example, is asked for the first time after 5 minutes."""
    assert ready_deadline(given.service(healthcheck=own, image_healthcheck=images)) == seconds


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (64 << 20, "last with status 137 (it was killed: as a rule, for more memory than its limit of 64 MB)"),
        (None, "last with status 137 (it was killed: as a rule, for more memory than its host has free)"),
    ],
)
def test_who_is_killed_again_and_again_has_left_no_word_and_its_limit_is_told(limit: int | None, told: str) -> None:
    service = given.service(resources=Resources(limit_memory=limit))
    made = given.replica(service, 1, "h1", state="restarting", exit_code=137)
    found = why_failed(made, service, Memory(frozenset({made.id}), {made.id: 0.0}), LOOP_DEADLINE)
    assert told in (found or "")


def test_what_is_found_unhealthy_is_not_waited_for_until_its_check_would_time_out() -> None:
    service = given.service(healthcheck=Healthcheck(test=("CMD", "false"), interval=1, retries=2))  # timeout: 30 s
    for health, given_up_after in (("unhealthy", 12.0), ("starting", 72.0)):
        made = given.replica(service, 1, "h1", health=health)
        run = Memory(frozenset({made.id}), {made.id: 0.0})
        assert why_failed(made, service, run, given_up_after - 1) is None
        assert f"(it is {health})" in (why_failed(made, service, run, given_up_after) or "")


@pytest.mark.parametrize(
    ("replica", "tried", "age", "told"),
    [
        ({"state": "exited", "exit_code": 3}, True, 0, "exited with status 3 right after its start"),
        ({"state": "exited", "exit_code": 0}, True, 0, "what ends when it is done is a job"),
        ({"state": "exited", "exit_code": 3}, False, 0, None),
        (
            {"state": "restarting", "exit_code": 1},
            True,
            LOOP_DEADLINE,
            "exits and is restarted again and again, last with status 1",
        ),
        ({"state": "restarting", "exit_code": 0}, True, LOOP_DEADLINE, "what ends when it is done is a job"),
        ({"state": "restarting", "exit_code": 1}, True, 0, None),
        ({"state": "restarting", "exit_code": 1}, False, LOOP_DEADLINE - 1, None),
        ({"state": "restarting", "exit_code": 1}, False, LOOP_DEADLINE, "exits and is restarted again and again"),
        ({}, True, START_DEADLINE - 1, None),
        ({}, True, START_DEADLINE, "the gateway's probe has not passed within 60 s: nothing answers on port 8080"),
        (
            {"health": "unhealthy"},
            False,
            START_DEADLINE,
            "its health check has not passed within 60 s (it is unhealthy)",
        ),
        ({"state": "creating"}, True, 999, None),
    ],
)
def test_why_waiting_does_not_help(replica: dict[str, Any], tried: bool, age: float, told: str | None) -> None:
    made = given.replica(WEB, 1, "h1", **replica)
    run = Memory(frozenset({made.id} if tried else ()), {made.id: 100.0})
    found = why_failed(made, WEB, run, 100.0 + age)
    assert found == told if told is None else told in (found or "")


@pytest.mark.parametrize(
    ("service", "told"),
    [
        (WEB, "nothing answers on port 8080"),
        (given.service(probe=Probe(kind="http", path="/up")), "GET /up on port 8080 is not answered with 2xx or 3xx"),
        (given.service(ports=(given.ingress(), given.ingress(90, 9090))), "its ports 8080, 9090 do not all answer"),
        (given.service(ports=(), expose=(Exposed(port=5432),)), "nothing answers on port 5432"),
    ],
)
def test_a_wrong_port_or_path_is_seen(service: Service, told: str) -> None:
    late = given.replica(service, 1, "h1")
    why = why_failed(late, service, Memory(frozenset({late.id}), {late.id: 0.0}), START_DEADLINE)
    assert why
    assert why.endswith(told)
