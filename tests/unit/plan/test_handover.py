"""Who is in two pools while a listener goes from one port of its service to another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Binding, Facts, GatewayFacts
from bayplan.plan.goal import Goal
from bayplan.plan.handover import invite, origins, visits
from bayplan.routing import Listener, Pool, Route, Table
from bayplan.spec.model import Port, Service

FLEET = given.fleet("h1", "h2")
OLD, NEW = given.service(), given.service(ports=(given.ingress(80, 9090),))
GOAL = given.goal(FLEET, NEW, release=2)
ONE = given.replica(OLD, 1, "h2")


def table(ports: dict[int, int], speaks: str = "tcp") -> Table:
    """Listeners by port, and the ports of web to which they lead. speaks: "tcp", "http", or "tcp, asked http"."""
    mode, _, check = speaks.partition(", asked ")
    fronts = (Listener(port, "", "tcp", (Route(f"shop.web.{target}"),)) for port, target in ports.items())
    pools = (
        Pool(f"shop.web.{target}", "shop", "web", mode, f"{check} /" if check else "tcp")
        for target in {*ports.values(), 9090}
    )  # type: ignore[arg-type]
    return given.table(tuple(fronts), tuple(pools))


def origin(goal: Goal, now: Table) -> dict[str, str]:
    return {pool: of.name for pool, of in origins(goal, goal.app.services.values(), GatewayFacts(now)).items()}


def web(*ports: Port) -> Service:
    return given.service(ports=ports)


@pytest.mark.parametrize(
    ("ports", "now", "mode", "found"),
    [
        ((given.ingress(80, 9090),), {80: 8080}, "tcp", {"shop.web.9090": "shop.web.8080"}),
        ((given.ingress(80, 8080),), {80: 8080}, "tcp", {}),
        ((given.ingress(81, 9090),), {80: 8080}, "tcp", {}),
        ((given.ingress(80, 9090), given.ingress(81, 9090)), {80: 8080, 81: 7070}, "tcp", {}),
        ((given.ingress(80, 9090), given.ingress(81, 9090)), {80: 8080}, "tcp", {"shop.web.9090": "shop.web.8080"}),
        ((given.ingress(80, 9090, app_protocol="http"),), {80: 8080}, "tcp", {}),
        (
            (given.ingress(80, 9090, app_protocol="http"),),
            {80: 8080},
            "tcp, asked http",
            {"shop.web.9090": "shop.web.8080"},
        ),
        ((given.ingress(80, 9090),), {80: 8080}, "http", {"shop.web.9090": "shop.web.8080"}),
    ],
    ids=["moves", "stays", "elsewhere", "from two", "one is new", "may not speak HTTP", "answers HTTP", "speaks HTTP"],
)
def test_where_a_listener_comes_from(
    ports: tuple[Port, ...], now: dict[int, int], mode: str, found: dict[str, str]
) -> None:
    assert origin(given.goal(FLEET, web(*ports), release=2), table(now, mode)) == found


def seen(**more: str) -> Facts:
    """The old one behind port 80 on h1, and, in that state, in the new pool. state: there; at: how it stands now."""
    state, at = more.get("state"), given.server(ONE, more.get("at", "ready"))
    pools = {"shop.web.8080": (at,), "shop.web.9090": (given.server(ONE, state),) if state else ()}
    return given.facts(given.up("h1", gateway=GatewayFacts(table({80: 8080}), pools)), given.up("h2", ONE))


def test_who_serves_where_the_listener_leads_is_brought_to_where_it_is_to_lead() -> None:
    at = given.server(ONE).server
    for state, action in ((None, "join"), ("maint", "join"), ("drain", "ready")):
        [step] = invite(GOAL, NEW, seen(state=state) if state else seen())
        assert (step.host, step.pool, step.server, step.action) == ("h1", "shop.web.9090", at, action)
    assert not list(invite(GOAL, NEW, seen(state="ready")))
    assert not list(invite(GOAL, NEW, seen(at="drain")))


def test_who_has_the_port_itself_is_no_guest() -> None:
    both = given.replica(web(given.ingress(), given.ingress(81, 9090)), 1, "h2")
    hosts = {**seen().hosts, "h2": given.up("h2", both)}
    assert not list(invite(GOAL, NEW, Facts(hosts)))


def test_who_is_there_with_another_endpoint_is_no_guest_though_its_host_does_not_answer() -> None:
    now, own = given.server(ONE), given.server(replace(ONE, ports=(Binding(9090, 29090, "10.77.0.12"),)), "drain")
    there = GatewayFacts(table({80: 8080}), {"shop.web.8080": (now,), "shop.web.9090": (own,)})
    assert not list(invite(GOAL, NEW, given.facts(given.up("h1", gateway=there), given.silent("h2"))))


def test_where_one_is_a_guest() -> None:
    assert [e.pool for e in visits(ONE, seen(state="ready"))] == ["shop.web.9090"]
    assert not list(visits(replace(ONE, name="another"), seen(state="ready")))
