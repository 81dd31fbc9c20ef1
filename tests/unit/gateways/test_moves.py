"""What a change does to a server, and what HAProxy is told for it."""

from __future__ import annotations

from typing import Any

import pytest

from bayplan.facts import ServerFacts
from bayplan.gateways.batch import Batch, prepare
from bayplan.gateways.moves import refusal
from bayplan.haproxy.state import DRAINED
from bayplan.plan.steps import PoolChange
from bayplan.routing import Pool, Server, Table

POOL = Pool("site.web.80", "site", "web")
SERVER = Server("web-1.h1", "10.0.0.1", 20080)
NAME = "site.web.80/web-1.h1"


def change(action: Any, server: Server = SERVER, pool: str = POOL.name) -> PoolChange:
    return PoolChange("h1", action, pool, server, "")


def batch(state: Any, *changes: PoolChange) -> Batch:
    known = (ServerFacts(SERVER, state, None),) if state else ()
    return prepare(changes, Table((), (POOL,)), {POOL.name: known}, 61.5)


def told(made: Batch) -> list[str]:
    return [line for words in made.told.values() for line in words]


@pytest.mark.parametrize(
    ("state", "action", "then"),
    [
        (None, "join", "drain"),
        (None, "drain", None),
        (None, "leave", None),
        ("drain", "join", "drain"),
        ("drain", "ready", "ready"),
        ("drain", "drain", "drain"),
        ("drain", "leave", None),
        ("ready", "join", "ready"),
        ("ready", "ready", "ready"),
        ("ready", "drain", "drain"),
        ("ready", "leave", None),
        ("maint", "join", "drain"),
        ("maint", "ready", "ready"),
        ("maint", "drain", "maint"),
        ("maint", "leave", None),
    ],
)
def test_the_table_of_states(state: str | None, action: str, then: str | None) -> None:
    made = batch(state, change(action))
    assert made.refused == {}
    assert [s.state for s in made.pools[POOL.name]] == ([then] if then else [])
    assert bool(made.told) == (state != then)


def test_a_new_server_drains_before_its_checks_begin() -> None:
    add, drain, check = told(batch(None, change("join")))
    assert add.startswith(f"add server {NAME} 10.0.0.1:20080 check ")
    assert drain == f"set server {NAME} state drain"
    assert check == f"enable health {NAME}"


def test_one_that_a_restart_brought_back_by_its_weight_gets_it_again() -> None:
    assert told(batch("drain", change("ready")))[:3] == [
        f"del map {DRAINED} {NAME}",
        f"set server {NAME} weight 1",
        f"set server {NAME} state ready",
    ]


def test_leaving_waits_until_nothing_holds_the_server() -> None:
    words = [line.split()[0] for line in told(batch("drain", change("leave")))]
    assert words == ["set", "shutdown", "wait", "del", "del"]


def test_a_server_that_drains_is_noted_with_the_time() -> None:
    assert told(batch("ready", change("drain")))[0] == f"add map {DRAINED} {NAME} 61.500"


def test_refusals_say_why_and_leave_the_others() -> None:
    absent, nowhere, fine = change("ready"), change("join", pool="x.y.1"), change("join", Server("b", "10.0.0.1", 1))
    made = batch(None, absent, nowhere, fine)
    assert set(made.refused) == {absent, nowhere}
    assert set(made.told) == {fine}
    assert [s.server.name for s in made.pools[POOL.name]] == ["b"]


def test_another_endpoint_by_the_same_name_replaces_it() -> None:
    moved = Server(SERVER.name, "10.0.0.2", 20090)
    made = batch("ready", change("join", moved))
    assert made.pools[POOL.name] == (ServerFacts(moved, "drain", None),)
    assert [line.split()[0] for line in told(made)] == ["set", "shutdown", "wait", "del", "del", "add", "set", "enable"]


def test_haproxys_answers() -> None:
    assert refusal(["New server registered.", "", "Done.", "Server deleted."]) == ""
    assert refusal(["", "No such server.", ""]) == "No such server."
