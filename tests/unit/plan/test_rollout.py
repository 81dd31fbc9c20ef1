"""The window: how many slots are in the middle of being replaced, and what closes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests import given

from bayplan import labels
from bayplan.facts import Binding, Facts, GatewayFacts, Replica, VolumeFacts
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.replica import definition, replica_container
from bayplan.plan.steps import Plan, PoolChange, Remove, kind, subject
from bayplan.spec.model import App, Placement, Port, Resources, Update
from bayplan.spec.storage import Mount, Volume

FLEET = given.fleet(*(given.host(f"h{n}", labels={"disk": "ssd" if n < 3 else "hdd"}) for n in range(1, 5)))
OLD = "older"


def web(replicas: int, order: str = "start-first", parallelism: int = 0, **more: Any) -> Goal:
    update = Update(order=order, parallelism=parallelism)  # type: ignore[arg-type]
    return given.goal(FLEET, given.service(replicas=replicas, update=update, **more), release=2)


def stood(goal: Goal, *slots: int, spec: str = OLD, release: int = 1, **more: Any) -> list[Replica]:
    """Old replicas in these slots, on h1, h2, h3, h4, h1, …"""
    of = goal.app.services["web"]
    hosts = list(goal.fleet.hosts)
    at = {n: hosts[(n - 1) % len(hosts)] for n in slots}
    return [replace(given.replica(of, n, at[n], port=28080 + n, release=release, **more), spec=spec) for n in slots]


def told(found: Plan) -> set[str]:
    return {f"{kind(s)} {subject(s).removeprefix('shop-').partition('.')[0]}" for s in found.steps}


def next_pass(goal: Goal, *replicas: Replica, run: Memory | None = None) -> Plan:
    return plan(goal, given.standing(goal, *replicas), 0.0, run)


@pytest.mark.parametrize(
    ("replicas", "parallelism", "size"), [(1, 0, 1), (4, 0, 1), (5, 0, 2), (12, 0, 3), (12, 1, 1), (3, 9, 3)]
)
@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_a_quarter_at_a_time_or_as_many_as_are_asked_for_lowest_first(
    replicas: int, parallelism: int, size: int, order: str
) -> None:
    goal = web(replicas, order, parallelism)
    found = next_pass(goal, *stood(goal, *range(1, replicas + 1)))
    word, release = ("run", 2) if order == "start-first" else ("drain", 1)
    assert told(found) == {f"{word} web-{n}-r{release}" for n in range(1, size + 1)}


def test_stop_first_waits_for_an_empty_slot_before_the_next_goes() -> None:
    goal = web(3, "stop-first", 1)
    assert told(next_pass(goal, *stood(goal, 2, 3))) == {"run web-1-r2"}


def test_stop_first_waits_for_a_slot_that_does_not_serve_yet() -> None:
    goal = web(3, "stop-first", 1)
    [starting] = stood(goal, 1, spec=definition(goal.app.services["web"]), release=2, health="starting")
    assert told(next_pass(goal, starting, *stood(goal, 2, 3))) == set()


@pytest.mark.parametrize("state", ["exited", "dead"])
def test_a_stopped_one_whose_successor_serves_holds_up_no_other(state: str) -> None:
    """It is asked for again and again; its engine may never get rid of it."""
    goal = web(2, parallelism=1)
    [new] = stood(goal, 1, spec=definition(goal.app.services["web"]), release=2)
    [left], [other] = stood(goal, 1, state=state), stood(goal, 2)
    seen = given.standing(goal, new, other)
    there = replace(seen.hosts["h1"].engine, replicas=(*seen.hosts["h1"].engine.replicas, left))
    seen = replace(seen, hosts={**seen.hosts, "h1": replace(seen.hosts["h1"], engine=there)})
    assert told(plan(goal, seen, 0.0)) == {"remove web-1-r1", "run web-2-r2"}


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_a_service_that_was_given_up_is_left_as_it_is(order: str) -> None:
    goal = web(3, order)
    assert told(next_pass(goal, *stood(goal, 1, 2, 3), run=Memory(given_up=frozenset({"web"})))) == set()


def test_of_the_services_that_are_not_asked_for_nothing_is_touched() -> None:
    goal = replace(web(3), only=frozenset({"api"}))
    assert told(next_pass(goal, *stood(goal, 1, 2, 3))) == set()


def test_at_most_one_a_host_counts_the_one_that_is_replaced_only_once() -> None:
    goal = web(4, placement=Placement(max_per_host=1))
    found = next_pass(goal, *stood(goal, 1, 2, 3, 4))
    assert told(found) == {"run web-1-r2"}
    assert found.unplaced == ()


def test_start_first_needs_room_for_both_and_says_so() -> None:
    goal = web(4, resources=Resources(reserved_cpus=3))
    found = next_pass(goal, *stood(goal, 1, 2, 3, 4))
    assert told(found) == set()
    [unplaced] = found.unplaced
    assert (unplaced.count, {r.reason for r in unplaced.why}) == (1, {"3 cores wanted, 1 of 4 free"})


def test_one_that_stands_where_it_may_not_is_replaced_where_it_may() -> None:
    goal = web(1, placement=Placement(constraints=("node.labels.disk == hdd",)))
    current = definition(goal.app.services["web"])
    found = next_pass(goal, *stood(goal, 1, spec=current, release=2))
    assert [(kind(s), s.host) for s in found.steps] == [("run", "h3")]


def test_one_of_another_definition_and_the_same_name_goes_first() -> None:
    """A newer bayplan may have another digest for the release that stands; a name is there once a host."""
    goal = web(3)
    found = next_pass(goal, *stood(goal, 1, 2, 3, release=2))
    assert told(found) == {"drain web-1-r2"}
    [gone] = stood(goal, 1, release=2, state="removing")
    found = next_pass(goal, gone, *stood(goal, 2, 3, release=2))
    assert told(found) == set()
    assert "is in the way of its successor" in {w.why for w in found.waiting}


def test_those_beyond_stay_until_one_within_serves() -> None:
    goal = web(1)
    assert told(next_pass(goal, *stood(goal, 1, 2, 3))) == {"run web-1-r2"}
    [new] = stood(goal, 1, spec=definition(goal.app.services["web"]), release=2)
    assert told(next_pass(goal, new, *stood(goal, 2, 3))) == {"drain web-2-r1", "drain web-3-r1"}


def test_to_none_all_go() -> None:
    goal = web(0)
    assert told(next_pass(goal, *stood(goal, 1, 2))) == {"drain web-1-r1", "drain web-2-r1"}


def test_a_move_that_failed_is_not_tried_again_in_the_same_run() -> None:
    goal = web(2)
    current = definition(goal.app.services["web"])
    of = goal.app.services["web"]
    both = [given.replica(of, n, "h1", port=28080 + n, release=2) for n in (1, 2)]
    assert all(r.spec == current for r in both)
    assert told(next_pass(goal, *both)) == {"run web-2-r2"}
    assert told(next_pass(goal, *both, run=Memory(given_up=frozenset({"web"})))) == set()


def test_an_app_that_is_taken_down_goes_as_its_listeners_do() -> None:
    goal = web(2)
    down = given.goal(FLEET, release=3)
    standing = given.standing(goal, *stood(goal, 1, 2))
    found = plan(down, standing, 0.0)
    assert told(found) == {"configure "}
    assert {w.why for w in found.waiting} == {"a listener still leads to it"}
    assert told(plan(down, _without_listeners(standing), 0.0)) == {"drain web-1-r1", "drain web-2-r1"}


def _without_listeners(facts: Facts) -> Facts:
    hosts = dict(facts.hosts)
    gateway = hosts["h1"].gateway
    assert gateway
    hosts["h1"] = replace(hosts["h1"], gateway=replace(gateway, table=replace(gateway.table, listeners=())))
    return Facts(hosts)


def test_one_whose_service_is_gone_from_the_file_has_the_time_to_stop_that_it_was_started_with() -> None:
    worker = given.service("worker", ports=(), stop_grace_period=120.0)
    goal = given.goal(FLEET, worker)
    standing = given.standing(goal, given.replica(worker, 1, "h1"))
    (gone,) = (s for s in plan(given.goal(FLEET, release=3), standing, 0.0).steps if isinstance(s, Remove))
    assert gone.grace is None


@pytest.mark.parametrize(("since", "goes"), [(40.0, False), (61.0, True)])
def test_one_whose_service_is_gone_from_the_file_drains_as_long_as_it_was_started_to(since: float, goes: bool) -> None:
    web = given.service(drain=60.0)
    goal = given.goal(FLEET, web)
    started = replica_container(goal, web, 1, FLEET.hosts["h1"], given.replica(web, 1, "h1").ports, definition(web))
    assert started.labels[labels.DRAIN] == "60"
    there = replace(given.replica(web, 1, "h1"), drain=60.0)
    facts = _without_listeners(given.standing(goal, there))
    hosts, gateway = dict(facts.hosts), facts.hosts["h1"].gateway
    assert gateway
    draining = {name: (given.server(there, "drain", sessions=1, since=since),) for name in gateway.pools}
    hosts["h1"] = replace(hosts["h1"], gateway=replace(gateway, pools=draining))
    steps = plan(given.goal(FLEET, release=2), Facts(hosts), 0.0).steps
    assert any(isinstance(s, PoolChange) and s.action == "leave" for s in steps) == goes


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"resources": Resources(reserved_cpus=9)}, "9 cores wanted, 4 of 4 free"),
        ({"ports": (given.ingress(5454, 53, mode="host"),)}, "port 5454/tcp is taken"),
    ],
)
def test_stop_first_none_goes_for_one_that_no_host_could_take_even_then(more: dict[str, Any], reason: str) -> None:
    goal = web(2, "stop-first", 2, **more)
    seen = given.standing(goal, *stood(goal, 1, 2, cpus=0.0))
    taken = frozenset({("tcp", 5454)})
    hosts = (replace(h, engine=replace(h.engine, taken=taken)) for h in seen.hosts.values())
    found = plan(goal, given.facts(*hosts), 0.0)
    assert told(found) == set()
    [unplaced] = found.unplaced
    assert (unplaced.count, {r.reason for r in unplaced.why}) == (2, {reason})


def test_stop_first_the_room_and_the_port_of_the_one_that_goes_are_its_successors() -> None:
    ports = (given.ingress(5454, 53, mode="host"),)
    goal = web(1, "stop-first", resources=Resources(reserved_cpus=3), ports=ports, placement=Placement(max_per_host=1))
    on_h1 = replace(stood(goal, 1)[0], ports=(Binding(53, 5454, "10.77.0.11"),))
    others = [replace(r, service="api", name=f"shop-api-{r.slot}-r1") for r in stood(goal, 2, 3, 4)]
    facts = given.standing(goal, on_h1, *(replace(r, app="other") for r in others))
    assert told(plan(goal, facts, 0.0)) == {"remove web-1-r1"}


@pytest.mark.parametrize(
    ("slots", "replicas", "up", "goes"),
    [((), 1, True, False), ((), 1, False, True), ((1,), 1, True, True), ((), 0, True, True)],
)
def test_what_answers_on_a_host_that_is_gone_from_the_fleet_does_until_somebody_else_does(
    slots: tuple[int, ...], replicas: int, up: bool, goes: bool
) -> None:
    goal = given.goal(FLEET, given.service(replicas=replicas))
    service = goal.app.services["web"]
    there = [given.replica(service, n, "h1") for n in slots]
    on_h9 = given.server(given.replica(service, 1, "h9"), up=up)
    gateway = given.serving(goal, {"shop.web.8080": (*(given.server(r) for r in there), on_h9)})
    facts = given.facts(given.up("h1", *there, gateway=gateway), *(given.up(f"h{n}") for n in (2, 3, 4)))
    assert ("leave web-1-r1" in told(plan(goal, facts, 0.0))) is goes


def test_what_had_its_volume_under_another_name_serves_until_its_image_is_there() -> None:
    mounts = (Mount(kind="volume", source="data", target="/data"),)
    db = given.service("db", ports=(), mounts=mounts, image="shop/web@sha256:2")
    app = App(name="shop", services={"db": db}, volumes={"data": Volume(name="shop_data")})
    goal = Goal(FLEET, app, 2)
    old = replace(given.replica(given.service("base", ports=()), 1, "h1"), volumes=("shop_data",))
    facts = given.standing(goal, old)
    lacking = facts.hosts["h1"]
    volumes = {"shop_data": VolumeFacts()}
    lacking = replace(lacking, images=frozenset(), engine=replace(lacking.engine, volumes=volumes))
    for images, steps in ((frozenset[str](), {f"pull {db.image}"}), (frozenset({db.image}), {"remove base-1-r1"})):
        hosts = {**facts.hosts, "h1": replace(lacking, images=images)}
        found = plan(goal, replace(facts, hosts=hosts), 0.0)
        assert told(found) == steps


@pytest.mark.parametrize("more", [(), (given.ingress(),)])
def test_what_has_the_host_port_of_another_service_serves_until_that_one_s_image_is_there(
    more: tuple[Port, ...],
) -> None:
    """Whether a listener leads to it or not."""
    port, on = given.ingress(5454, 53, mode="host"), given.fleet("h1")
    dns = given.service("dns", ports=(port,), image="shop/web@sha256:2")
    base = given.service("base", ports=(*more, port))
    old = given.replica(base, 1, "h1")
    old = replace(old, ports=(*old.ports, Binding(53, 5454, "10.0.0.11")))
    before, now = given.standing(given.goal(on, base), old), given.goal(on, dns, release=2)
    lacking = before.hosts["h1"]
    leaves = {"drain base-1-r1"} if more else {"remove base-1-r1"}
    for images, steps in ((frozenset[str](), {f"pull {dns.image}"}), (frozenset({dns.image}), leaves)):
        seen = given.facts(replace(lacking, images=images))
        assert {t for t in told(plan(now, seen, 0.0)) if not t.startswith("configure")} == steps
    full = Memory(unfetched={("h1", dns.image): "it has no room"})
    found = plan(now, given.facts(replace(lacking, images=frozenset())), 0.0, full)
    assert not any("base" in t for t in told(found))


@pytest.mark.parametrize(
    ("service", "joined", "goes"), [("web", False, False), ("web", True, True), ("api", False, True)]
)
def test_an_endpoint_that_a_later_replica_has_by_now_stays_until_that_one_is_led_to_by_its_own_name(
    service: str, joined: bool, goes: bool
) -> None:
    """As at a gateway that was off while two releases went by: host ports alternate."""
    goal = given.goal(FLEET, given.service(), given.service("api", ports=(given.ingress(81),)), release=3)
    now = given.replica(goal.app.services[service], 1, "h2", release=3)
    before = given.server(given.replica(goal.app.services["web"], 1, "h2", release=1))
    there = (before, given.server(now)) if joined else (before,)
    gateway = given.serving(goal, {"shop.web.8080": there})
    facts = given.facts(given.up("h1", gateway=gateway), given.up("h2", now), *(given.up(f"h{n}") for n in (3, 4)))
    assert ("leave web-1-r1" in told(plan(goal, facts, 0.0))) is goes


def test_what_comes_back_with_its_host_takes_no_traffic_where_its_successor_does() -> None:
    """Weeks old, it answered for a moment: its host's own gateway did not lead to its successor yet."""
    on = given.fleet("h1", "h2", balancers=("h1", "h2"))
    goal = given.goal(on, given.service(replicas=1), release=2)
    now = given.replica(goal.app.services["web"], 1, "h1", release=2)
    old = replace(given.replica(goal.app.services["web"], 1, "h2", port=28081, release=1), spec=OLD)
    alone, back = given.standing(goal, now), given.standing(goal, old)
    facts = Facts({"h1": alone.hosts["h1"], "h2": back.hosts["h2"]})
    joins = {
        (s.host, s.server.name)
        for s in plan(goal, facts, 0.0).steps
        if isinstance(s, PoolChange) and s.action == "join"
    }
    assert joins == {("h2", "shop-web-1-r2.h1")}


def test_a_stopped_one_of_a_service_that_the_release_has_no_more_waits_for_no_listener() -> None:
    """It had its room until who was to have the listener had come up, and had no place for want of that room."""
    old, new = given.service("old", 2), given.service("new")
    was = given.goal(FLEET, old)
    runs, stopped = given.replica(old, 1, "h1"), given.replica(old, 2, "h2", state="exited")
    seen = given.standing(was, runs, stopped)
    cut = {n: replace(h, gateway=h.gateway and _without(h.gateway, stopped)) for n, h in seen.hosts.items()}
    found = plan(given.goal(FLEET, new, release=2), Facts(cut), 0.0)
    assert [s.replica for s in found.steps if isinstance(s, Remove)] == [stopped.name]
    assert [w.replica for w in found.waiting if w.service == "old"] == [runs.name]


def _without(gateway: GatewayFacts, one: Replica) -> GatewayFacts:
    pools = {name: tuple(s for s in there if one.name not in s.server.name) for name, there in gateway.pools.items()}
    return replace(gateway, pools=pools)


def test_a_stopped_old_one_beyond_n_goes_though_none_within_serves() -> None:
    goal = web(1)
    [new] = stood(goal, 1, spec=definition(goal.app.services["web"]), release=2)
    [old] = stood(goal, 2, state="exited")
    starting = replace(new, health="starting")
    found = next_pass(goal, starting, old)
    assert any(subject(s).startswith(old.name) for s in found.steps)
