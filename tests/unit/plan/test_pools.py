"""What leaves the pools of a gateway that clients are led to no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.given import facts, fleet, goal, replica, server, service, serving, table, up

from bayplan.facts import GatewayFacts, ServerFacts
from bayplan.plan.pools import sweep
from bayplan.plan.steps import PoolChange, Waiting

WEB = service(drain=60.0)
ONE = replica(WEB, 1, "h1")
POOL = "shop.web.8080"
NOW = goal(fleet("h1", "h2", balancers=("h2",)), WEB)


def swept(known: ServerFacts, *, routed: bool = False) -> tuple[list[PoolChange], list[Waiting]]:
    """h1 was the balancer, and has that server still. routed: its listener is there, too."""
    there = serving(goal(fleet("h1", "h2"), WEB), {POOL: [known]})
    left = there if routed else GatewayFacts(table(pools=there.table.pools), there.pools)
    waiting: list[Waiting] = []
    steps = list(sweep(NOW, facts(up("h1", ONE, gateway=left), up("h2")), waiting))
    return steps, waiting


def test_who_is_connected_through_a_host_that_is_no_balancer_any_more_gets_as_long_as_where_a_replica_goes() -> None:
    known = server(ONE, sessions=2)
    assert swept(known, routed=True) == ([], [])
    [drained], _ = swept(known)
    assert (drained.host, drained.action, drained.why) == ("h1", "drain", "no listener there leads to it any more")
    steps, [waits] = swept(replace(known, state="drain", since=59.0))
    assert (steps, waits.why) == ([], "finishes 2 sessions on h1")


@pytest.mark.parametrize(("sessions", "since"), [(0, 1.0), (2, 60.0)])
def test_then_its_server_leaves(sessions: int, since: float) -> None:
    [left], waiting = swept(server(ONE, "drain", sessions=sessions, since=since))
    assert (left.action, waiting) == ("leave", [])


def test_one_that_nothing_stands_behind_is_not_waited_for() -> None:
    [left], _ = swept(server(replica(WEB, 2, "h2"), sessions=2))
    assert (left.action, left.why) == ("leave", "its replica is gone")


@pytest.mark.parametrize(
    ("mode", "gives_it", "goes"),
    [(None, True, False), ("replicated-job", True, False), ("replicated", True, False), ("replicated", False, True)],
)
def test_one_on_a_host_that_left_the_fleet_serves_until_another_service_has_its_listener(
    mode: str | None, gives_it: bool, goes: bool
) -> None:
    """Its own service was gone from the file as well, and nobody answered until the other one had come up. mode: of its
    service now, of which none is to run; None: it has another name.
    """
    was, gone = goal(fleet("h1", "h2"), WEB), replica(WEB, 1, "h2")
    web = WEB.model_copy(update={"replicas": 0, "ports": () if gives_it else WEB.ports, "mode": mode or "replicated"})
    web = web if mode != "replicated-job" else web.model_copy(update={"replicas": 1})
    now = goal(fleet("h1"), *([web] if mode else []), service("api"), release=2)
    there = serving(was, {POOL: [server(gone)]})
    assert [s.action for s in sweep(now, facts(up("h1", gateway=there)), [])] == (["leave"] if goes else [])
