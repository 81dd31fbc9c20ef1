"""Requests that a release gives from one service to another: who has them goes on until the next one has somebody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Facts, GatewayFacts, ServerFacts
from bayplan.plan.fronts import as_before, fronts_of, lends
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.routes import desired, pools
from bayplan.plan.steps import Configure, PoolChange, Run
from bayplan.routing import Listener, Route, Server, Table
from bayplan.spec.model import External, Http, Resources, Service

FLEET = given.fleet("h1", "h2")


def http(name: str, *hosts: str, path: str = "/", **more: object) -> Service:
    return given.service(name, ports=(given.ingress(app_protocol="http"),), http=Http(hosts=hosts, path=path), **more)


def routes(wanted: Goal, was: Goal, *serve: Service) -> set[tuple[str, tuple[str, ...], str]]:
    """Where the balancer is to lead, from the release before, when each of these has one in its pool that answers."""
    table = given.table(_listeners(was, *was.app.services.values()), (*pools(was, "h1"), *pools(wanted, "h1")))
    now = _filled(table, *serve)
    [front] = desired(wanted, given.facts(given.up("h1", gateway=now)), given.up("h1"), now).listeners
    return {(r.pool.split(".")[1], r.hosts, r.path) for r in front.routes}


def _listeners(goal: Goal, *serve: Service) -> tuple[Listener, ...]:
    now = _filled(given.table(pools=tuple(pools(goal, "h1"))), *serve)
    return desired(goal, given.facts(given.up("h1", gateway=now)), given.up("h1"), now).listeners


def _filled(table: Table, *serve: Service) -> GatewayFacts:
    at = {f"shop.{s.name}.8080": (given.server(given.replica(s, 1, "h1")),) for s in serve}
    return GatewayFacts(table, {p.name: at.get(p.name, ()) for p in table.pools})


def test_a_host_name_that_another_service_is_to_have_is_led_to_who_had_it_until_that_one_has_somebody() -> None:
    """The port was both services' already, and so its requests were nobody's meanwhile."""
    web, api, blog = http("web", "a.example"), http("api", "b.example"), http("blog", "c.example")
    was = given.goal(FLEET, web, api)
    moved = given.goal(FLEET, web, http("api", "c.example"), http("blog", "b.example"), release=2)
    assert routes(moved, was, web, api) == {
        ("web", ("a.example",), "/"),
        ("api", ("b.example",), "/"),
        ("api", ("c.example",), "/"),
    }
    assert routes(moved, was, web, api, blog) == {
        ("web", ("a.example",), "/"),
        ("api", ("c.example",), "/"),
        ("blog", ("b.example",), "/"),
    }


def test_of_two_host_names_the_one_that_is_given_away_stays_where_it_was_and_the_other_is_its_own() -> None:
    both, one, api = http("web", "a.example", "b.example"), http("web", "a.example"), http("api", "b.example")
    was, now = given.goal(FLEET, both), given.goal(FLEET, one, api, release=2)
    assert routes(now, was, both) == {("web", ("a.example",), "/"), ("web", ("b.example",), "/")}
    assert routes(now, was, both, api) == {("web", ("a.example",), "/"), ("api", ("b.example",), "/")}


def test_a_path_that_another_service_is_to_have_is_led_to_who_had_it_until_that_one_has_somebody() -> None:
    was = given.goal(FLEET, http("web", path="/api"), http("api"))
    now = given.goal(FLEET, http("web"), http("api", path="/v2"), http("blog", path="/api"), release=2)
    web, api, blog = now.app.services.values()
    assert routes(now, was, web, api) == {("web", (), "/"), ("web", (), "/api"), ("api", (), "/v2")}
    assert routes(now, was, web, api, blog) == {("web", (), "/"), ("blog", (), "/api"), ("api", (), "/v2")}


def test_who_is_led_to_and_has_nobody_is_spared_what_another_one_answers_yet() -> None:
    """As a service that was stopped is, while it comes up again."""
    was, now = given.goal(FLEET, http("web"), http("api", "b.example")), given.goal(FLEET, http("web"), release=2)
    assert routes(now, was, *was.app.services.values()) == {("web", (), "/")}
    kept = {("web", (), "/"), ("api", ("b.example",), "/")}
    assert routes(now, was, http("api", "b.example")) == kept
    another = given.ingress(81), given.ingress(app_protocol="http")
    more = given.goal(FLEET, http("web").model_copy(update={"ports": another}), release=2)
    assert routes(more, was, http("api", "b.example")) == kept


def test_what_a_more_particular_route_takes_is_no_other_s_to_keep() -> None:
    """A path that web is to have of b.example went from api, which answers, to web, whose old route is for any host."""
    was = given.goal(FLEET, http("web"), http("api", "b.example"))
    now = given.goal(FLEET, http("web", "b.example", path="/v2"), http("api", "b.example"), release=2)
    assert routes(now, was, http("api", "b.example")) == {("web", (), "/"), ("api", ("b.example",), "/")}


def test_a_port_that_speaks_tcp_stays_whole_for_one_that_is_to_have_a_host_name_of_it() -> None:
    """It cannot tell host names apart, and its gateway was reloaded for nothing."""
    was, now = given.goal(FLEET, given.service("web")), given.goal(FLEET, http("api", "b.example"), release=2)
    assert routes(now, was, given.service("web")) == {("web", (), "/")}


@pytest.mark.parametrize(
    ("asked", "now", "both"),
    [
        ((("a.example",), "/"), ((), "/"), (("a.example",), "/")),
        (((), "/"), (("a.example",), "/"), (("a.example",), "/")),
        (((), "/api"), ((), "/"), ((), "/api")),
        (((), "/"), ((), "/api"), ((), "/api")),
        (((), "/apix"), ((), "/api"), None),
        ((("a.example",), "/"), (("b.example",), "/"), None),
        ((("a.example", "b.example"), "/"), (("b.example", "c.example"), "/api/"), (("b.example",), "/api/")),
        ((("a.shop.example",), "/"), (("*.shop.example",), "/"), (("a.shop.example",), "/")),
    ],
)
def test_the_requests_that_two_routes_take(
    asked: tuple[tuple[str, ...], str], now: tuple[tuple[str, ...], str], both: tuple[tuple[str, ...], str] | None
) -> None:
    there = Table((Listener(80, "", "http", (Route("shop.web.8080", *now),)),))
    wanted = Listener(80, "", "http", (Route("shop.api.8080", *asked),))
    found = [(part.hosts, part.path) for _, part in as_before(wanted, there)]
    assert found == ([both] if both else [])


def scaled_to_none(*, api_serves: bool) -> tuple[Goal, Facts]:
    """Web is to have no replica, and api its port."""
    web, api = given.service("web"), given.service("api")
    stands = [given.replica(web, 1, "h1"), *([given.replica(api, 1, "h2", release=2)] if api_serves else [])]
    goal = given.goal(FLEET, web.model_copy(update={"replicas": 0, "ports": ()}), api, release=2)
    was = _listeners(given.goal(FLEET, web), web)
    table = given.table(was, (*pools(given.goal(FLEET, web), "h1"), *pools(goal, "h1")))
    gateway = _filled(table, web, *([api] if api_serves else []))
    hosts = [given.up(n, *[r for r in stands if r.host == n]) for n in ("h1", "h2")]
    return goal, given.settled(FLEET, given.facts(replace(hosts[0], gateway=gateway), hosts[1]))


@pytest.mark.parametrize("api_serves", [False, True])
def test_a_service_that_is_to_have_no_replica_serves_until_the_one_that_is_to_have_its_port_is_led_to(
    api_serves: bool,
) -> None:
    """It went at once, and nobody was behind the port until the other one had come up."""
    goal, seen = scaled_to_none(api_serves=api_serves)
    steps = plan(goal, seen, 0.0).steps
    assert lends(goal, goal.app.services["web"], seen)
    assert not [s for s in steps if isinstance(s, PoolChange) and s.pool.startswith("shop.web.")]
    assert any(isinstance(s, Configure) and s.host == "h1" and _leads_to_api(s) for s in steps) == api_serves


def _leads_to_api(step: Configure) -> bool:
    return any(r.pool.startswith("shop.api.") for f in step.table.listeners for r in f.routes)


def test_a_listener_that_a_service_which_this_run_does_not_bring_up_is_to_have_stays_with_whom_it_was() -> None:
    """As after a release of both that was killed."""
    goal, seen = scaled_to_none(api_serves=False)
    found = plan(replace(goal, only=frozenset({"web"})), seen, 0.0)
    assert going(goal, seen) == []
    assert not [s for s in found.steps if isinstance(s, Configure) and s.host == "h1" and not s.table.listeners]
    assert not found.waiting


def test_a_service_of_none_goes_once_nothing_leads_to_it_but_its_own_listener() -> None:
    web = given.service(replicas=0)
    goal = given.goal(FLEET, web, release=2)
    seen = given.standing(given.goal(FLEET, given.service()), given.replica(given.service(), 1, "h1"))
    assert fronts_of("shop", web)
    assert not lends(goal, web, seen)
    assert [s.action for s in plan(goal, seen, 0.0).steps if isinstance(s, PoolChange)] == ["drain"]


FULL = Resources(reserved_cpus=2.0)


def full(old: Service, new: Service, *more: Service, stand: int) -> tuple[Goal, Facts]:
    """One host of four cores with as many of the old one, behind port 80, which the new one is to have."""
    fleet = given.fleet("h1", headroom=0.0)
    was = given.standing(
        given.goal(fleet, old),
        *(given.replica(old, n, "h1", port=28080 + n, made=float(n)) for n in range(1, stand + 1)),
    )
    return given.goal(fleet, new, *more, release=2), was


def going(goal: Goal, seen: Facts) -> list[str]:
    """Servers that are drained in the next pass."""
    steps = plan(goal, seen, 0.0).steps
    return [s.server.name for s in steps if isinstance(s, PoolChange) and s.action == "drain"]


@pytest.mark.parametrize(("stand", "goes"), [(1, []), (2, ["shop-web-2-r1.h1"])])
def test_one_of_a_service_that_the_release_has_no_more_makes_room_for_who_is_to_have_its_port_and_the_last_serves_on(
    stand: int, goes: list[str]
) -> None:
    """A service that got another name on a full fleet stayed for good."""
    cores = Resources(reserved_cpus=4.0 / stand)
    web = given.service("web", stand, resources=cores)
    goal, seen = full(web, given.service("api", stand, resources=cores), stand=stand)
    assert [u.service for u in plan(goal, seen, 0.0).unplaced] == ["api"]
    assert going(goal, seen) == goes


def test_who_has_the_room_of_the_one_that_is_to_have_its_port_is_told() -> None:
    web, api = (given.service(name, resources=Resources(reserved_cpus=4.0)) for name in ("web", "api"))
    [unplaced] = plan(*full(web, api, stand=1), 0.0).unplaced
    [why] = unplaced.why
    assert why.reason == (
        "4 cores wanted, 0 of 4 free; shop-web-1-r1 has that room and answers behind a listener until another does: "
        "docker stop ends it sooner"
    )


@pytest.mark.parametrize(("replicas", "goes"), [(0, ["shop-web-2-r1.h1"]), (2, ["shop-web-2-r1.h1"])])
def test_one_of_a_service_that_has_the_port_no_more_makes_room_for_who_is_to_have_it(
    replicas: int, goes: list[str]
) -> None:
    """replicas: 0, or those without a port that serve already."""
    web = given.service("web", 2, resources=FULL)
    now = web.model_copy(update={"ports": (), "replicas": replicas, "resources": Resources()})
    goal, seen = full(web, now, given.service("api", 1, resources=FULL), stand=2)
    new = [given.replica(now, n, "h1", release=2, ports=()) for n in range(1, replicas + 1)]
    h1 = seen.hosts["h1"]
    h1 = replace(h1, engine=replace(h1.engine, replicas=(*h1.engine.replicas, *new)))
    assert going(goal, Facts({"h1": h1})) == goes


def test_the_last_that_answers_behind_a_port_makes_no_room_for_a_service_that_gets_another_one() -> None:
    """It did, where others might call it: the port led to nobody until the one that was to have it had come up."""
    web = given.service("web", 1, resources=FULL, address="198.18.1.1")
    now = web.model_copy(update={"ports": (), "resources": Resources()})
    api, blog = given.service("api"), given.service("blog", 2, resources=FULL, ports=())
    worker = given.service("worker", ports=())
    goal, seen = full(web, now, api, blog, worker, stand=1)
    h1 = seen.hosts["h1"]
    new = given.replica(now, 1, "h1", release=2, ports=())
    caller = given.replica(worker.model_copy(update={"image": "shop/worker@sha256:0"}), 1, "h1")
    h1 = replace(h1, engine=replace(h1.engine, replicas=(*h1.engine.replicas, new, caller)))
    made = plan(goal, Facts({"h1": h1}), 0.0)
    assert [u.service for u in made.unplaced] == ["blog"]
    assert going(goal, Facts({"h1": h1})) == []


@pytest.mark.parametrize("api_serves", [False, True])
def test_what_stands_of_a_service_that_is_a_job_by_now_serves_until_the_one_that_is_to_have_its_port_is_led_to(
    api_serves: bool,
) -> None:
    """It went at once, as what is in the job's way."""
    goal, seen = scaled_to_none(api_serves=api_serves)
    job = given.service("web", ports=(), mode="replicated-job")
    made = plan(given.goal(FLEET, job, goal.app.services["api"], release=2), seen, 0.0)
    assert not [s for s in made.steps if isinstance(s, PoolChange) and s.pool.startswith("shop.web.")]
    assert [s.container.name for s in made.steps if isinstance(s, Run) and s.service == "web"] == ["shop-web-1-r2"]
    assert [w.why for w in made.waiting if w.replica == "shop-web-1-r1"] == ["a listener still leads to it"]


@pytest.mark.parametrize("answers", [False, True])
def test_a_listener_of_a_service_that_is_not_run_here_leads_there_as_soon_as_that_answers(answers: bool) -> None:
    """It was opened never, and whoever had it before had it no more at once."""
    web = given.service("web")
    db = given.service("db", replicas=0, external=External(address="10.9.9.9", port=8080))
    goal = given.goal(FLEET, db, web.model_copy(update={"ports": ()}), release=2)
    table = given.table(
        _listeners(given.goal(FLEET, web), web), (*pools(given.goal(FLEET, web), "h1"), *pools(goal, "h1"))
    )
    away = {"shop.db.8080": ServerFacts(Server("bayplan:away", "10.9.9.9", 8080), "ready", up=answers)}
    now = replace(_filled(table, web), away=away)
    [front] = desired(goal, given.facts(given.up("h1", gateway=now)), given.up("h1"), now).listeners
    assert [route.pool for route in front.routes] == ["shop.db.8080" if answers else "shop.web.8080"]
