"""What stands in each slot, and which of two stays; which may stand where nobody answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Facts, Replica
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.presume import presumed_slots
from bayplan.plan.replica import definition, slot_and_host
from bayplan.plan.slots import Reader, Slot, displaced
from bayplan.plan.steps import Remove, Run, subject
from bayplan.spec.model import App, Placement
from bayplan.spec.storage import Mount, Volume

FLEET = given.fleet(given.host("h1", labels={"disk": "ssd"}), "h2", "h3")
WEB = given.service(replicas=3)


def slots(*replicas: Replica, goal: Goal | None = None, run: Memory | None = None, now: float = 0.0) -> dict[int, Slot]:
    to = goal or given.goal(FLEET, WEB)
    service = to.app.services["web"]
    return Reader(to, service, definition(service), given.standing(to, *replicas), run or Memory(), now).slots()


def web(slot: int, host: str, **more: object) -> Replica:
    return given.replica(WEB, slot, host, port=28080 + slot, **more)


def kept(found: dict[int, Slot]) -> dict[int, str]:
    return {n: s.keeper.host for n, s in found.items() if s.keeper}


def test_of_two_in_a_slot_the_one_on_the_emptier_host_stays() -> None:
    found = slots(web(1, "h1"), web(2, "h2"), web(3, "h1"), web(3, "h3"))
    assert kept(found) == {1: "h1", 2: "h2", 3: "h3"}
    assert [r.host for r in found[3].extra] == ["h1"]


def test_two_slots_that_stand_twice_on_the_same_hosts_are_told_apart() -> None:
    both = (web(2, "h2"), web(2, "h3"), web(3, "h2"), web(3, "h3"))
    assert kept(slots(web(1, "h1"), *both)) == {1: "h1", 2: "h2", 3: "h3"}
    assert kept(slots(web(1, "h1"), *both[1:])) == {1: "h1", 2: "h3", 3: "h2"}


def test_of_two_with_data_the_one_stays_that_was_put_there_when_the_other_was_lost() -> None:
    """More gateways lead to it, or it was begun later; not the one on the emptier host."""
    app, data = (web(1, "h1"), web(2, "h1")), {"volumes": ("data",)}
    returned, put = web(3, "h2", made=1000.0, **data), web(3, "h1", made=2000.0, **data)
    assert kept(slots(*app, returned, put))[3] == "h1"
    goal = given.goal(FLEET, WEB)
    facts = given.standing(goal, *app, put)
    h2 = replace(facts.hosts["h2"], engine=given.engine(replace(returned, made=3000.0)))
    found = Reader(goal, WEB, definition(WEB), Facts({**facts.hosts, "h2": h2}), Memory(), 0.0).slots()
    assert kept(found)[3] == "h1"


def test_a_stopped_one_does_not_stay_where_a_running_one_is() -> None:
    assert kept(slots(web(1, "h1"), web(2, "h1"), web(2, "h2", state="exited"))) == {1: "h1", 2: "h1"}


def test_nor_one_that_was_broken_before_this_run() -> None:
    broken = web(2, "h2", health="unhealthy")
    run = Memory(first_seen={broken.id: 0.0})
    assert kept(slots(web(1, "h1"), web(2, "h1"), broken, run=run, now=0.0))[2] == "h2"
    assert kept(slots(web(1, "h1"), web(2, "h1"), broken, run=run, now=61.0))[2] == "h1"


def test_one_where_the_constraints_do_not_let_it_stand_is_old() -> None:
    fast = WEB.model_copy(update={"placement": Placement(constraints=("node.labels.disk == ssd",))})
    found = slots(web(1, "h1"), web(2, "h2"), goal=given.goal(FLEET, fast))
    assert kept(found) == {1: "h1"}
    assert [r.host for r in found[2].old] == ["h2"]


def test_a_stopped_one_whose_port_is_taken_is_old_and_a_running_one_is_not() -> None:
    for state, run, current in (
        ("exited", Memory(), True),
        ("exited", Memory(taken=frozenset({("h1", 28081)})), False),
        ("exited", Memory(taken=frozenset({("h2", 28081)})), True),
        ("running", Memory(taken=frozenset({("h1", 28081)})), True),
    ):
        assert bool(slots(web(1, "h1", state=state), run=run)[1].keeper) is current, (state, run)


def test_one_at_an_address_that_its_host_has_no_more_is_old() -> None:
    moved = FLEET.model_copy(
        update={"hosts": {**FLEET.hosts, "h2": given.host("h9").model_copy(update={"name": "h2"})}}
    )
    found = slots(web(1, "h1"), web(2, "h2"), goal=given.goal(moved, WEB))
    assert kept(found) == {1: "h1"}


def test_a_stopped_one_whose_network_was_removed_is_old() -> None:
    to = given.goal(FLEET, WEB)
    for state, networks, current in (("exited", (), False), ("exited", ("t-shop",), True), ("running", (), True)):
        one = given.up("h1", web(1, "h1", state=state), networks=frozenset(networks))
        found = Reader(to, WEB, definition(WEB), given.facts(one), Memory(), 0.0).slots()
        assert bool(found[1].keeper) is current, (state, networks)


@pytest.mark.parametrize(
    ("in_pool", "silent", "fails"),
    [(False, (), True), (False, ("h1",), True), (True, ("h1",), False), (False, ("h1", "h2"), False)],
)
def test_one_of_which_only_gateways_that_do_not_answer_could_tell_has_not_failed(
    in_pool: bool, silent: tuple[str, ...], fails: bool
) -> None:
    """It was started again while they did not, and stopped for that: it served all the time."""
    web, fleet = given.service(), given.fleet("h1", "h2", balancers=("h1", "h2"))
    goal, one = given.goal(fleet, web), given.replica(web, 1, "h1")
    there = given.serving(goal, {"shop.web.8080": (given.server(one),)} if in_pool else {})
    hosts = (given.up("h1", one, gateway=there), given.up("h2", gateway=there))
    seen = given.facts(*(replace(h, gateway=None) if h.name in silent else h for h in hosts))
    run = Memory(frozenset({one.id}), {one.id: 0.0})
    [slot] = Reader(goal, web, definition(web), seen, run, 600.0).slots().values()
    assert (slot.serves, slot.failed is not None) == (False, fails)


def test_a_server_tells_its_slot_and_host() -> None:
    assert slot_and_host("shop-web-12-r3.h1") == (12, "h1")
    assert slot_and_host("shop-a-1-r2.b-12-r3.h1") == (12, "h1")  # of the service a-1-r2.b
    assert slot_and_host("shop-web-12-r3.h1.example.com") == (12, "h1.example.com")
    assert slot_and_host("something else") is None


def presumed(facts: Facts, goal: Goal, *seen: int, run: Memory | None = None) -> list[int]:
    return sorted(presumed_slots(goal, WEB, facts, frozenset(seen), run or Memory()))


def test_what_this_run_saw_on_a_host_before_it_fell_silent_may_stand_there() -> None:
    goal = given.goal(FLEET, WEB)
    facts = given.standing(goal, web(1, "h1"), down=("h3",))
    run = Memory(
        stood={"h3": frozenset({("shop", "web", 2), ("shop", "api", 3)}), "h2": frozenset({("shop", "web", 3)})}
    )
    assert presumed(facts, goal, 1, run=run) == [2]


def test_without_a_gateway_that_tells_all_that_were_there_before_may_stand_on_a_silent_host() -> None:
    goal = replace(given.goal(FLEET, WEB), before={"web": 2})
    facts = given.standing(goal, web(1, "h2"), down=("h1", "h3"))
    assert presumed(facts, goal, 1) == [2]
    assert presumed(facts, replace(goal, assume_down=frozenset({"h1", "h3"})), 1) == []


def test_a_gateway_that_knows_the_service_tells_which() -> None:
    goal = replace(given.goal(FLEET, WEB), before={"web": 3})
    facts = given.standing(goal, web(1, "h1"), web(3, "h3"), down=("h3",))
    assert presumed(facts, goal, 1) == [3]


def test_all_hosts_answer_so_nothing_is_presumed() -> None:
    goal = replace(given.goal(FLEET, WEB), before={"web": 3})
    assert presumed(given.standing(goal), goal) == []


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_service_of_which_none_is_to_run_takes_no_volume_from_another(replicas: int) -> None:
    data = (Mount(kind="volume", source="data", target="/d"),)
    db, worker = given.service("db", replicas, ports=(), mounts=data), given.service("worker", ports=())
    services = {"db": db, "worker": worker}
    app = App(name="shop", services=services, volumes={"data": Volume(name="shop_data")})
    stands = given.replica(worker.model_copy(update={"mounts": data}), 1, "h1", volumes=("shop_data",))
    seen = given.facts(given.up("h1", stands))
    assert displaced(Goal(given.fleet("h1"), app, 2), db, seen) == ((stands,) if replicas else ())


def test_what_runs_of_a_stopped_service_and_makes_room_for_another_is_in_one_plan_alone() -> None:
    """It was stopped and removed in the same pass."""
    data = (Mount(kind="volume", source="data", target="/d"),)
    db, worker = given.service("db", ports=(), mounts=data), given.service("worker", ports=())
    app = App(name="shop", services={"db": db, "worker": worker}, volumes={"data": Volume(name="shop_data")})
    stands = given.replica(worker.model_copy(update={"mounts": data}), 1, "h1", volumes=("shop_data",))
    goal = Goal(given.fleet("h1"), app, 2, only=frozenset({"db"}), stopped=frozenset({"worker"}))
    facts = given.facts(given.up("h1", stands, images=frozenset({db.image})))
    about = [s for s in plan(goal, facts, 0.0).steps if subject(s) == stands.name]
    assert [type(s) for s in about] == [Remove]


@pytest.mark.parametrize(
    ("of", "is_job", "has_image", "told"),
    [
        ("worker", False, True, "makes room for seed, which has its volume in release 2"),
        ("seed", False, True, "makes room for seed, which has its volume in release 2"),
        ("seed", False, False, "waits for its image"),
        ("worker", True, True, "has the volume of seed and has not ended yet; bayplan stop worker ends it"),
    ],
)
def test_what_has_the_volume_of_a_job_is_gone_before_that_is_run(
    of: str, is_job: bool, has_image: bool, told: str
) -> None:
    """It was run beside it, and two wrote to one volume. of: whose it was, which has it no more, or is that job now."""
    data = (Mount(kind="volume", source="data", target="/d"),)
    seed = given.service("seed", ports=(), mounts=data, mode="replicated-job")
    worker = given.service("worker", ports=(), mode="replicated-job" if is_job else "replicated")
    app = App(name="shop", services={"seed": seed, "worker": worker}, volumes={"data": Volume(name="shop_data")})
    old = given.service(of, ports=(), mounts=data)
    stands = given.replica(old, 1, "h1", volumes=("shop_data",), job=is_job)
    images = frozenset({seed.image}) if has_image else frozenset[str]()
    found = plan(Goal(given.fleet("h1"), app, 2), given.facts(given.up("h1", stands, images=images)), 0.0)
    assert not [s for s in found.steps if isinstance(s, Run) and s.service == "seed"]
    assert [s.why for s in found.steps if isinstance(s, Remove)] == ([told] if told.startswith("makes") else [])
    assert told.startswith("makes") or told in {w.why for w in found.waiting}
