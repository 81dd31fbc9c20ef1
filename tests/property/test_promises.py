"""DESIGN.md's invariants one by one, each where it is hardest to hold."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given as with_any
from hypothesis import strategies as st
from tests import given
from tests.property.driver import Driver, assert_one_plan_in_any_order
from tests.property.stories import BROKEN, apps, fleets
from tests.property.world import World

from bayplan.plan.goal import Goal
from bayplan.plan.replica import definition
from bayplan.plan.steps import Remove, Run, Step
from bayplan.spec.model import Fleet, Resources, Update

orders = st.builds(Update, order=st.sampled_from(("start-first", "stop-first")), parallelism=st.integers(0, 3))


OTHER = "shop/web@sha256:b"


def standing(fleet: Fleet, replicas: int, **more: object) -> Driver:
    """A web service that stands."""
    world = World(fleet)
    driver = Driver(world, given.goal(fleet, given.service(replicas=replicas, **more)))
    driver.settle()
    world.tick()
    return driver


def release(driver: Driver, **changes: object) -> None:
    """The next release of it, in a new run."""
    goal = driver.goal
    web = goal.app.services["web"].model_copy(update=changes)
    driver.goal = replace(
        goal,
        app=goal.app.model_copy(update={"services": {"web": web}}),
        release=goal.release + 1,
        before={"web": goal.app.services["web"].replicas},
    )
    driver.restart()


def steps_until_settled(driver: Driver) -> list[Step]:
    """Everything that is done on the way."""
    done: list[Step] = []
    for _ in range(100):
        made = driver.one_pass()
        done += made.steps
        if made.is_empty:
            return done
        driver.world.tick()
    raise AssertionError(made)


def answering(world: World, release_number: int) -> int:
    """Replicas of that release that take traffic at every balancer."""
    mine = f"-r{release_number}."
    return min(sum(mine in name for name in servers) for servers in world.serving().values())


@with_any(fleets(), st.integers(1, 5), orders, st.sampled_from(BROKEN), st.lists(st.integers(1, 9), max_size=3))
def test_a_release_that_never_becomes_ready_leaves_the_one_before_serving(
    fleet: Fleet, replicas: int, update: Update, image: str, kills: list[int]
) -> None:
    driver = standing(fleet, replicas, update=update)
    window = (update.parallelism or -(-replicas // 4)) if update.order == "stop-first" else 0
    release(driver, image=image)
    driver.world.may_be_emptied = frozenset({"web"}) if window >= replicas else frozenset()

    def they_answer() -> None:
        assert answering(driver.world, 1) >= replicas - window

    driver.killed(kills, they_answer)
    end = driver.settle()
    assert end.failures
    assert answering(driver.world, 1) >= replicas - window


@with_any(fleets(), st.integers(1, 5), orders, st.booleans())
def test_what_serves_does_so_until_its_successors_image_is_on_a_host(
    fleet: Fleet, replicas: int, update: Update, ports: bool
) -> None:
    there = (given.ingress(), given.ingress(5454, 53, mode="host")) if ports else (given.ingress(),)
    driver = standing(fleet, min(replicas, len(fleet.hosts)) if ports else replicas, update=update, ports=there)
    stood = {r.id for r in driver.world.replicas()}
    release(driver, image=OTHER)
    driver.world.unfetched = frozenset({OTHER})
    for _ in range(5):
        driver.one_pass()
        driver.world.tick()
        assert answering(driver.world, 1) == len(stood)
    driver.world.unfetched, driver.world.may_be_emptied = frozenset(), frozenset({"web"})
    driver.settle()
    assert answering(driver.world, 2) == len(stood)


@with_any(fleets(), st.integers(0, 6), st.integers(0, 6))
def test_scaling_starts_or_stops_the_difference_and_touches_nothing_else(fleet: Fleet, before: int, after: int) -> None:
    driver = standing(fleet, before)
    stay = {r.id for r in driver.world.replicas() if r.slot <= after}
    release(driver, replicas=after)
    driver.world.may_be_emptied = frozenset({"web"} if after == 0 else ())
    done = steps_until_settled(driver)
    assert sum(isinstance(s, Run) for s in done) == max(0, after - before)
    assert sum(isinstance(s, Remove) for s in done) == max(0, before - after)
    assert stay <= {r.id for r in driver.world.replicas()}


@with_any(fleets(), st.integers(1, 6), st.data())
def test_of_a_host_that_is_judged_down_exactly_what_stood_there_is_replaced(
    fleet: Fleet, replicas: int, data: st.DataObject
) -> None:
    driver = standing(fleet, replicas)
    lost = data.draw(
        st.sampled_from([h for h in fleet.hosts if h not in fleet.balancer.hosts] or list(fleet.hosts)[1:])
    )
    stood = [r for r in driver.world.replicas() if r.host == lost]
    rest = {r.id for r in driver.world.replicas()} - {r.id for r in stood}
    driver.world.lose_power(lost)
    driver.world.tick()
    driver.restart()
    assert not any(isinstance(s, Run) for s in driver.one_pass().steps)
    driver.goal = replace(driver.goal, assume_down=frozenset({lost}))
    driver.world.judged_down = frozenset({lost})
    driver.restart()
    done = steps_until_settled(driver)
    assert sum(isinstance(s, Run) for s in done) == len(stood)
    assert not any(isinstance(s, Remove) for s in done)
    assert rest <= {r.id for r in driver.world.replicas()}


@with_any(fleets(), st.integers(1, 5), st.sampled_from((0, 1, 3)), st.booleans())
def test_what_a_balancer_may_still_send_requests_to_stays_until_it_answers(
    fleet: Fleet, before: int, after: int, other: bool
) -> None:
    driver = standing(fleet, before)
    cut = fleet.balancer.hosts[-1]
    stood = {r.id for r in driver.world.replicas()}
    driver.world.hosts[cut].silent = True
    release(driver, replicas=after, image="shop/web@sha256:b" if other else given.IMAGE)
    driver.settle()
    assert stood <= {r.id for r in driver.world.replicas()}
    driver.world.come_back(cut)
    driver.world.may_be_emptied = frozenset({"web"} if after == 0 else ())
    driver.restart()
    driver.settle()
    assert sum(1 for _ in driver.world.replicas()) == after


@with_any(fleets(), st.integers(2, 5))
def test_when_all_stand_on_one_host_one_moves_as_soon_as_another_host_answers(fleet: Fleet, replicas: int) -> None:
    world = World(fleet)
    alone = fleet.balancer.hosts[0]
    for name in world.hosts:
        world.hosts[name].silent = name != alone
    goal = given.goal(fleet, given.service(replicas=replicas))
    others = frozenset(fleet.hosts) - {alone}
    driver = Driver(world, replace(goal, assume_down=others))
    driver.settle()
    assert {r.host for r in world.replicas()} == {alone}
    for name in world.hosts:
        world.come_back(name)
    driver.goal = goal
    driver.restart()
    done = steps_until_settled(driver)
    assert sum(isinstance(s, Run) for s in done) == 1
    assert sum(isinstance(s, Remove) for s in done) == 1
    assert len({r.host for r in world.replicas()}) == 2


@with_any(fleets(), st.integers(1, 30), st.sampled_from((0.0, 0.3, 1.0, 2.5, 9.0)), st.sampled_from((0, 1, 3, 20)))
def test_what_does_not_fit_is_told_with_a_reason_for_each_host(
    fleet: Fleet, replicas: int, cpus: float, gigabytes: int
) -> None:
    resources = Resources(reserved_cpus=cpus, reserved_memory=gigabytes * given.GB)
    world = World(fleet)
    driver = Driver(world, given.goal(fleet, given.service(replicas=replicas, resources=resources)))
    end = driver.settle()
    size = min(fleet.ports[1] - fleet.ports[0] + 1, replicas)
    keep = 1 - fleet.headroom
    by_cpus = int(4 * keep / cpus + 1e-9) if cpus else size
    by_memory = int(8 * keep / gigabytes + 1e-9) if gigabytes else size
    room = len(fleet.hosts) * min(size, by_cpus, by_memory)
    assert sum(1 for _ in world.replicas()) == min(replicas, room)
    assert sum(u.count for u in end.unplaced) == max(0, replicas - room)
    for unplaced in end.unplaced:
        assert [r.host for r in unplaced.why] == list(fleet.hosts)
        assert all(r.reason for r in unplaced.why)


@with_any(fleets(), apps(), st.integers(0, 12), st.integers())
def test_a_plan_does_not_depend_on_the_order_of_what_was_observed(
    fleet: Fleet, app: object, passes: int, seed: int
) -> None:
    world = World(fleet)
    driver = Driver(world, Goal(fleet, app, 1))  # type: ignore[arg-type]
    for number in range(passes):
        driver.one_pass(number, 0.7)
        world.tick()
    assert_one_plan_in_any_order(driver, seed)


PRINT_A_PLAN = """
from tests import given
from bayplan.plan.plan import plan
web, worker = given.service(replicas=9), given.service("worker", 5, ports=())
to = given.goal(given.fleet("h1", "h2", "h3", "h4", balancers=("h1", "h2")), web, worker)
seen = given.standing(to, *(given.replica(web, n, f"h{n % 3 + 1}", port=28080 + n) for n in (1, 2, 12)))
print(plan(to, seen, 0.0))
"""


def test_a_plan_does_not_depend_on_the_hash_seed() -> None:
    root = Path(__file__).parents[2]
    told = {
        subprocess.run(
            [sys.executable, "-c", PRINT_A_PLAN],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}:{root / 'src'}"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
    assert "Run(" in told.pop()


def test_another_definition_has_another_digest() -> None:
    """What all of this stands on."""
    web = given.service()
    assert definition(web) != definition(web.model_copy(update={"image": "shop/web@sha256:2"}))
    assert definition(web) == definition(web.model_copy(update={"replicas": 9, "drain": 1.0}))
