"""Which table each gateway is to have: this app's part of it, every other app's as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Facts, GatewayFacts, Replica, ServerFacts
from bayplan.plan.calls import missed
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.routes import configure, desired, pools, routed_services
from bayplan.plan.steps import Configure, Remove
from bayplan.routing import Listener, Pool, Route, Server, Spoken, Table
from bayplan.spec.model import Exposed, Http, Placement, Probe, Service

FLEET = given.fleet("h1", "h2")
BLOG = Pool("blog.site.80", "blog", "site")


def ready(service: Service) -> ServerFacts:
    return given.server(given.replica(service, 1, "h1"))


def gateway(table: Table, **servers: ServerFacts) -> GatewayFacts:
    by_pool = {p.name: () for p in table.pools} | {n.replace("_", "."): (s,) for n, s in servers.items()}
    return GatewayFacts(table, by_pool)


def facts(on_h1: GatewayFacts) -> Facts:
    return given.facts(given.up("h1", gateway=on_h1), given.up("h2"))


def listeners(goal: Goal, on_h1: GatewayFacts) -> tuple[Listener, ...]:
    seen = facts(on_h1)
    return desired(goal, seen, seen.hosts["h1"], on_h1).listeners


def http(name: str, *hosts: str, path: str = "/") -> Service:
    return given.service(name, ports=(given.ingress(app_protocol="http"),), http=Http(hosts=hosts, path=path))


def test_a_listener_is_added_when_its_pool_has_somebody() -> None:
    web = given.service()
    goal = given.goal(FLEET, web)
    empty = gateway(given.table(pools=tuple(pools(goal, "h1"))))
    assert listeners(goal, empty) == ()
    there = gateway(empty.table, shop_web_8080=ready(web))
    assert listeners(goal, there) == (Listener(80, "", "tcp", (Route("shop.web.8080"),)),)


def test_pools_come_first_and_only_to_balancers() -> None:
    goal = given.goal(FLEET, given.service(probe=Probe(kind="http", path="/up", interval=5), proxy_protocol=True))
    steps, conflicts = configure(goal, facts(GatewayFacts(given.table())))
    assert conflicts == ()
    [step] = steps
    assert isinstance(step, Configure)
    assert (step.host, step.why) == ("h1", "adds pool shop.web.8080")
    [pool] = step.table.pools
    assert (pool.check, pool.interval, pool.proxy_protocol, pool.mode) == ("http /up", 5, True, "tcp")


def test_a_balancer_that_moves_is_left_once_the_new_one_leads_there() -> None:
    """FLEET's balancer is h1; the listener is still on h2."""
    web = given.service()
    goal = given.goal(FLEET, web)
    front = Listener(80, "", "tcp", (Route("shop.web.8080"),))
    there = gateway(given.table((front,), tuple(pools(goal, "h1"))), shop_web_8080=ready(web))
    not_yet = gateway(given.table(pools=there.table.pools))
    for on_h1, left in ((not_yet, (front,)), (there, ())):
        seen = given.facts(given.up("h1", gateway=on_h1), given.up("h2", gateway=there))
        assert desired(goal, seen, seen.hosts["h2"], there).listeners == left


def test_a_balancer_that_moves_leads_to_the_release_before_until_the_new_one_leads_to_its_own() -> None:
    on = given.fleet("h1", "h2", balancers=("h2",))
    goal = given.goal(on, given.service(ports=(given.ingress(80, 9090),)), release=2)
    front = Listener(80, "", "tcp", (Route("shop.web.8080"),))
    there = gateway(
        given.table((front,), (Pool("shop.web.8080", "shop", "web"),)), shop_web_8080=ready(given.service())
    )
    seen = given.facts(given.up("h1", gateway=there), given.up("h2"))
    assert desired(goal, seen, seen.hosts["h1"], there).listeners == (front,)


def test_two_services_share_a_port_by_host_and_path() -> None:
    api, web = http("api", "shop.example", path="/api"), http("web", "shop.example")
    goal = given.goal(FLEET, api, web)
    there = gateway(given.table(pools=tuple(pools(goal, "h1"))), shop_api_8080=ready(api), shop_web_8080=ready(web))
    [front] = listeners(goal, there)
    assert front.mode == "http"
    assert front.routes == (
        Route("shop.api.8080", ("shop.example",), "/api"),
        Route("shop.web.8080", ("shop.example",)),
    )


def blog(*hosts: str, mode: str = "http") -> Table:
    return given.table((Listener(80, "", mode, (Route(BLOG.name, hosts),)),), (BLOG,))  # type: ignore[arg-type]


def test_two_apps_share_a_port_by_host_and_leave_each_other_alone() -> None:
    web = http("web", "shop.example")
    goal = given.goal(FLEET, web)
    table = blog("blog.example")
    there = gateway(given.table(table.listeners, (BLOG, *pools(goal, "h1"))), shop_web_8080=ready(web))
    [front] = listeners(goal, there)
    assert {r.pool for r in front.routes} == {"blog.site.80", "shop.web.8080"}
    assert configure(goal, facts(there))[1] == ()
    gone = replace(goal, app=goal.app.model_copy(update={"services": {}}))
    with_both = gateway(given.table((front,), (BLOG, *pools(goal, "h1"))))
    seen = facts(with_both)
    assert desired(gone, seen, seen.hosts["h1"], with_both) == table


def test_the_requests_of_another_app_are_a_conflict_and_nothing_of_the_app_is_changed() -> None:
    for mine, theirs in (
        (http("web", "shop.example"), blog("shop.example", "www.shop.example")),
        (http("web"), blog()),
        (given.service(), blog(mode="tcp")),
        (given.service(), blog("blog.example")),
    ):
        goal = given.goal(FLEET, mine)
        seen = given.settled(FLEET, facts(gateway(theirs)))
        found = plan(goal, seen, 0.0)
        assert [f.why for f in found.failures] == ["port 80 of the balancer is held by the app blog"]
        assert found.steps == ()


def test_any_host_of_one_app_leaves_the_named_ones_of_another() -> None:
    assert configure(given.goal(FLEET, http("web")), facts(gateway(blog("blog.example"))))[1] == ()


def test_another_port_is_no_conflict() -> None:
    web = given.service(ports=(given.ingress(8080),))
    assert configure(given.goal(FLEET, web), facts(gateway(blog(mode="tcp"))))[1] == ()


def test_a_listener_keeps_its_pool_until_the_next_one_has_somebody_of_its_own_and_all_guests() -> None:
    old, new = given.service(), given.service(ports=(given.ingress(80, 9090),))
    now = Listener(80, "", "tcp", (Route("shop.web.8080"),))
    was, goal = given.goal(FLEET, old), given.goal(FLEET, new, release=2)
    table = given.table((now,), (*pools(was, "h1"), *pools(goal, "h1")))
    guest, own = ready(old), given.server(given.replica(new, 1, "h1", release=2))
    dead = replace(own, up=False)
    for there in ((), (guest,), (guest, dead), (own,), (own, replace(guest, state="drain"))):
        seen = GatewayFacts(table, {"shop.web.8080": (guest,), "shop.web.9090": there})
        assert listeners(goal, seen) == (now,)
    both = GatewayFacts(table, {"shop.web.8080": (guest,), "shop.web.9090": (own, guest)})
    assert listeners(goal, both) == (Listener(80, "", "tcp", (Route("shop.web.9090"),)),)


def test_a_pool_that_takes_over_has_the_cookie_of_the_one_before_and_speaks_to_its_guests_as_that_one_does() -> None:
    sticky = Http(sticky=True)
    old = given.service(http=sticky, probe=Probe(kind="http", path="/old"), ports=(given.ingress(app_protocol="http"),))
    port = given.ingress(80, 9090, app_protocol="http")
    new = old.model_copy(update={"probe": Probe(kind="http", path="/new"), "ports": (port,)})
    was, goal = given.goal(FLEET, old), given.goal(FLEET, new, release=2)
    now = Listener(80, "", "http", (Route("shop.web.8080"),))
    there = gateway(given.table((now,), tuple(pools(was, "h1"))), shop_web_8080=ready(old))
    [_, made] = desired(goal, facts(there), facts(there).hosts["h1"], there).pools
    assert (made.name, made.cookie) == ("shop.web.9090", "shop.web.8080")
    assert made.former == (("shop-web-1-r1.h1", Spoken("http /old")),)
    moved = gateway(given.table((replace(now, routes=(Route(made.name),)),), (made,)), shop_web_9090=ready(old))
    assert desired(goal, facts(moved), facts(moved).hosts["h1"], moved).pools == (made,)


def test_a_port_that_moves_is_opened_and_closed_in_one_reload() -> None:
    web = given.service(ports=(given.ingress(81),))
    goal = given.goal(FLEET, web, release=2)
    now = given.table((Listener(80, "", "tcp", (Route("shop.web.8080"),)),), tuple(pools(goal, "h1")))
    [step], _ = configure(goal, facts(gateway(now, shop_web_8080=ready(web))))
    assert step.why == "adds port 81; drops port 80"


def test_a_renamed_service_takes_over_the_port_when_it_has_somebody() -> None:
    old, new = given.service("web"), given.service("site")
    goal = given.goal(FLEET, new, release=2)
    now = Listener(80, "", "tcp", (Route("shop.web.8080"),))
    table = given.table((now,), (*pools(given.goal(FLEET, old), "h1"), *pools(goal, "h1")))
    assert listeners(goal, gateway(table, shop_web_8080=ready(old))) == (now,)
    both = gateway(table, shop_web_8080=ready(old), shop_site_8080=ready(new))
    assert listeners(goal, both) == (Listener(80, "", "tcp", (Route("shop.site.8080"),)),)


def test_a_service_keeps_its_port_until_the_one_that_is_to_have_it_has_somebody() -> None:
    web, proxy = given.service("web", ports=()), given.service("proxy")
    goal = given.goal(FLEET, web, proxy, release=2)
    now = Listener(80, "", "tcp", (Route("shop.web.8080"),))
    table = given.table((now,), (*pools(given.goal(FLEET, given.service("web")), "h1"), *pools(goal, "h1")))
    assert listeners(goal, gateway(table, shop_web_8080=ready(given.service("web")))) == (now,)
    both = gateway(table, shop_web_8080=ready(given.service("web")), shop_proxy_8080=ready(proxy))
    assert listeners(goal, both) == (Listener(80, "", "tcp", (Route("shop.proxy.8080"),)),)


def test_a_pool_goes_when_nothing_leads_to_it_and_nobody_is_in_it() -> None:
    goal = given.goal(FLEET, release=2)
    web = given.service()
    table = given.table(pools=tuple(pools(given.goal(FLEET, web), "h1")))
    seen = facts(gateway(table, shop_web_8080=ready(web)))
    assert configure(goal, seen)[0] == ()
    [step], _ = configure(goal, facts(gateway(table)))
    assert step.why == "drops pool shop.web.8080"


def test_which_services_a_listener_leads_to() -> None:
    web = given.service()
    goal = given.goal(FLEET, web)
    table = given.table((Listener(80, "", "tcp", (Route("shop.web.8080"),)),), tuple(pools(goal, "h1")))
    assert routed_services(facts(gateway(table)), "shop") == {"web"}
    assert routed_services(facts(gateway(blog())), "shop") == set()


def inner(name: str, number: int, **more: object) -> Service:
    return given.service(name, ports=(), expose=(Exposed(port=8000),), address=f"198.18.7.{number}", **more)


def reached(table: Table) -> set[str]:
    """Services that replicas reach there."""
    return {r.pool.split(".")[1] for front in table.listeners if front.is_inner for r in front.routes}


def known_to(table: Table, service: str) -> str:
    return next(n.text for n in table.names if n.service == service)


def renamed(proxy: Replica, *, release: int = 2) -> tuple[Goal, Facts]:
    """`app` is `site` now, and `proxy`, which calls it, is another one, too; proxy: the replica that stands."""
    app, site, new = inner("app", 1), inner("site", 3), inner("proxy", 2, image="shop/proxy@sha256:2")
    was, goal = given.goal(FLEET, app, inner("proxy", 2)), given.goal(FLEET, site, new, release=release)
    stands = given.replica(app, 1, "h2")
    before = desired(was, given.facts(given.up("h1")), given.up("h1"), GatewayFacts(Table()))
    there = GatewayFacts(before, {"shop.app.8000": (), "shop.proxy.8000": ()})
    return goal, given.settled(FLEET, given.facts(given.up("h1", proxy, gateway=there), given.up("h2", stands)))


def test_what_the_release_has_no_more_is_led_to_while_one_that_may_call_it_is_to_be_replaced() -> None:
    goal, seen = renamed(given.replica(inner("proxy", 2), 1, "h1"))
    [step] = (s for s in configure(goal, seen, missed(goal, seen))[0] if s.host == "h1")
    assert isinstance(step, Configure)
    assert reached(step.table) == {"app", "site", "proxy"}
    assert "198.18.7.1 app\n" in known_to(step.table, "proxy")
    assert "198.18.7.3 site\n" in known_to(step.table, "proxy")
    assert not [s for s in plan(goal, seen, 0.0).steps if isinstance(s, Remove)]


def test_what_the_release_has_no_more_goes_with_the_last_that_may_call_it() -> None:
    goal, seen = renamed(given.replica(inner("proxy", 2, image="shop/proxy@sha256:2"), 1, "h1", release=2))
    [step] = (s for s in configure(goal, seen, missed(goal, seen))[0] if s.host == "h1")
    assert isinstance(step, Configure)
    assert reached(step.table) == {"site", "proxy"}
    assert "app" not in known_to(step.table, "proxy")


def test_nobody_waits_for_what_the_release_has_no_more_while_what_may_call_it_stays_for_want_of_a_place() -> None:
    goal, seen = renamed(given.replica(inner("proxy", 2), 1, "h1"))
    nowhere = goal.app.services["proxy"].model_copy(
        update={"placement": Placement(constraints=("node.hostname == h9",))}
    )
    goal = given.goal(FLEET, goal.app.services["site"], nowhere, release=2)
    found = plan(goal, seen, 0.0)
    assert [u.service for u in found.unplaced] == ["proxy"]
    assert not [w for w in found.waiting if w.service == "app"]
    assert not [s for s in found.steps if isinstance(s, Remove)]


def test_what_the_release_has_no_more_makes_room_for_what_has_no_other_place() -> None:
    goal, seen = renamed(given.replica(inner("proxy", 2), 1, "h1"))
    [step] = (s for s in configure(goal, seen)[0] if s.host == "h1")
    assert isinstance(step, Configure)
    assert reached(step.table) == {"site", "proxy"}


@pytest.mark.parametrize(("gone", "stays"), [((), True), (("h2",), False)])
def test_a_port_that_the_release_has_no_more_is_led_to_while_one_of_before_may_serve_on_a_host_that_does_not_answer(
    gone: tuple[str, ...], stays: bool
) -> None:
    was = inner("api", 1, image="shop/api@sha256:1")
    goal = given.goal(FLEET, was.model_copy(update={"expose": (Exposed(port=9000),)}), release=2)
    goal = replace(goal, before={"api": 1}, assume_down=frozenset(gone))
    before = desired(given.goal(FLEET, was), given.facts(given.up("h1")), given.up("h1"), GatewayFacts(Table()))
    on_h2 = ServerFacts(Server("shop-api-1-r1.h2", "10.77.0.12", 28000), "ready", up=True)
    there = given.up("h1", gateway=GatewayFacts(before, {"shop.api.8000": (on_h2,)}))
    seen = given.settled(FLEET, given.facts(there, given.silent("h2")))
    [step] = configure(goal, seen, missed(goal, seen))[0]
    assert isinstance(step, Configure)
    assert {f.port for f in step.table.listeners} == ({8000, 9000} if stays else {9000})


@pytest.mark.parametrize("is_stopped", [True, False])
def test_what_the_release_has_no_more_does_not_wait_for_one_that_is_to_have_its_listener_and_is_not_brought_up(
    is_stopped: bool,
) -> None:
    """It did, in every run of the others, until patience ended."""
    site, api, other = given.service("site"), given.service("api"), given.service("other", ports=())
    was = given.standing(given.goal(FLEET, site, other), given.replica(site, 1, "h1"), given.replica(other, 1, "h2"))
    goal = replace(given.goal(FLEET, api, other, release=2), only=frozenset({"other"}))
    goal = replace(goal, stopped=frozenset({"api"} if is_stopped else ()))
    found = plan(goal, was, 0.0)
    assert not found.waiting
    dropped = [s for s in found.steps if isinstance(s, Configure) and s.host == "h1" and not s.table.listeners]
    assert bool(dropped) is is_stopped


def test_a_port_that_the_release_has_no_more_is_led_to_while_one_of_before_stands_that_this_run_does_not_replace() -> (
    None
):
    """A run of the others closed it, after one that was killed."""
    was, db = inner("api", 1, image="shop/api@sha256:1"), given.service("db", ports=())
    now = was.model_copy(update={"expose": (Exposed(port=9000),)})
    goal = replace(given.goal(FLEET, now, db, release=2), only=frozenset({"db"}))
    before = desired(given.goal(FLEET, was, db), given.facts(given.up("h1")), given.up("h1"), GatewayFacts(Table()))
    there = given.up("h1", given.replica(was, 1, "h1"), gateway=GatewayFacts(before, {"shop.api.8000": ()}))
    seen = given.settled(FLEET, given.facts(there, given.up("h2")))
    [step] = (s for s in configure(goal, seen, missed(goal, seen))[0] if s.host == "h1")
    assert isinstance(step, Configure)
    assert {f.port for f in step.table.listeners} == {8000, 9000}


def test_a_host_that_was_a_balancer_keeps_no_listener_for_one_that_no_host_is_to_have() -> None:
    """It did, and what the release has no more waited for that without end."""
    site = given.service("site")
    nowhere = given.service("all", mode="global", placement=Placement(constraints=("node.labels.disk == ssd",)))
    was = given.standing(given.goal(given.fleet("h1", "h2"), site), given.replica(site, 1, "h1"))
    goal = given.goal(given.fleet("h1", "h2", balancers=("h2",)), nowhere, release=2)
    [at_h1] = [s for s in plan(goal, was, 0.0).steps if isinstance(s, Configure) and s.host == "h1"]
    assert not at_h1.table.listeners
