"""What a person who waits is told where there is no terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, Group
from tests import given

from bayplan.cli import silence
from bayplan.cli.progress import Progress
from bayplan.container import Container
from bayplan.converge.outcome import PassEvent, StepEvent
from bayplan.facts import Facts
from bayplan.operate.events import ImageEvent, Note, Stage
from bayplan.operate.status import _state
from bayplan.plan.steps import Held, Plan, PoolChange, Run, Waiting
from bayplan.ports import Transfer

PLAN = Plan(
    waiting=(Waiting("h1", "job", "shop-job-1-r1", "has not ended yet", open_end=True),),
    held=(Held("web", "job", "waits for job to end"),),
)


def said(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line.split("s  ", 1)[1] for line in capfd.readouterr().err.splitlines()]


def test_what_is_waited_for_is_told_once_after_a_silence(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Progress("shop") as shown:
        shown(Stage("replicas", "release 2"))
        shown(PassEvent(1, Facts(), PLAN))
        assert said(capfd) == ["release 2"]
        monkeypatch.setattr(silence, "SILENCE", 0.0)
        for number in (2, 3):
            shown(PassEvent(number, Facts(), PLAN))
        assert said(capfd) == ["waits: shop-job-1-r1 on h1 has not ended yet", "web waits for job to end"]


def test_what_waits_for_the_same_is_a_line_and_is_no_news_when_it_gets_less(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "SILENCE", 0.0)
    late = tuple(Waiting(f"h{n % 2 + 1}", "web", f"shop-web-{n}-r2", "is starting") for n in range(1, 7))
    with Progress("shop") as shown:
        for there in (late, late[2:], (*late[2:], Waiting("h1", "web", "shop-web-7-r2", "is starting"))):
            shown(PassEvent(2, Facts(), Plan(waiting=there)))
    assert said(capfd) == [
        "waits: shop-web-{1,3,5}-r2 on h2, shop-web-{2,4,6}-r2 on h1: each is starting",
        "waits: shop-web-{3,5}-r2 on h2, shop-web-{4,6,7}-r2 on h1: each is starting",
    ]


def test_what_is_still_waited_for_is_told_again_after_a_long_silence(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that says nothing for long is ended by who runs it, and its log looks dead."""
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Progress("shop") as shown:
        shown(Stage("replicas", "release 2"))
        for second in range(131):
            now = 100.0 + second
            shown(PassEvent(2 + second, Facts(), PLAN))
    told = [float(line.split("s", 1)[0]) for line in capfd.readouterr().err.splitlines() if "waits: " in line]
    assert told == [5.0, 65.0, 125.0]


def test_of_a_build_the_names_of_what_it_leaves_on_its_way_are_not_told(capfd: pytest.CaptureFixture[str]) -> None:
    lines = ["Step 1/2 : FROM x", " ---> Running in 1d381970d421", "hello", "Removing intermediate container 1d381970d421",
             " ---> 287c369243c6", "Step 2/2 : CMD x", " ---> Using cache", " ---> 287c369243c6"]  # fmt: skip
    with Progress("shop") as shown:
        for line in lines:
            shown(ImageEvent("web", Transfer(status="build", text=line), done=False))
    assert said(capfd) == [f"web: {line}" for line in (lines[0], "hello", lines[5], " ---> Using cache")]


def test_what_an_engine_tries_again_is_told_once_a_try(capfd: pytest.CaptureFixture[str]) -> None:
    """It counts down, for every layer."""
    with Progress("shop") as shown:
        for seconds in (5, 5, 4, 1, 10, 10, 9, 1):
            shown(ImageEvent("web", Transfer("abc", again=seconds), done=False))
    assert said(capfd) == [f"web: the registry failed; tried again in {seconds} s" for seconds in (5, 10)]


@pytest.mark.parametrize(
    ("replica", "server", "word"),
    [
        ({}, {}, "ready"),
        ({}, {"up": False}, "starting"),
        ({}, {"state": "drain"}, "draining"),
        ({"state": "paused"}, {}, "standby"),
        ({"state": "exited"}, {}, "failed"),
        ({"health": "unhealthy"}, {}, "failed"),
        ({"health": "starting"}, {}, "starting"),
    ],
)
def test_a_replica_s_state_is_told_in_the_words_of_ps(
    replica: dict[str, Any], server: dict[str, Any], word: str
) -> None:
    goal = given.goal(given.fleet("h1"), given.service(replicas=1))
    web = goal.app.services["web"]
    one = given.replica(web, 1, "h1", **replica)
    seen = given.standing(goal, one)
    gateway = given.serving(goal, {"shop.web.8080": [given.server(one, **server)]})
    seen = replace(seen, hosts={"h1": replace(seen.hosts["h1"], gateway=gateway)})
    with Progress("shop", quiet=True) as shown:
        shown(PassEvent(1, seen, Plan()))
        assert (shown._state(one), _state(goal, web, one, seen)) == (word, word)


def test_who_is_checked_before_it_takes_traffic_is_starting_and_not_draining() -> None:
    """A gateway has both in the same state."""
    goal = given.goal(given.fleet("h1"), given.service(replicas=1))
    one = given.replica(goal.app.services["web"], 1, "h1")
    seen = given.facts(
        given.up("h1", one, gateway=given.serving(goal, {"shop.web.8080": [given.server(one, "drain")]}))
    )
    begun = Run("h1", "web", 1, Container(one.name, one.image), "")
    drained = PoolChange("h1", "drain", "shop.web.8080", given.server(one).server, "")
    with Progress("shop", quiet=True) as shown:
        shown(StepEvent(begun, "done"))
        shown(PassEvent(1, seen, Plan()))
        assert shown._state(one) == "starting"
        shown(StepEvent(drained, "done"))
        assert shown._state(one) == "draining"
        shown(PassEvent(2, given.facts(given.up("h1", one)), Plan()))
        assert shown._state(one) == "draining", "it is out of the pools, and about to be removed"


def test_a_host_that_is_waited_for_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress("shop") as shown:
        shown.slow("h2")
        shown.slow("h2")
    assert said(capfd) == ["waits for h2, which does not answer yet"]


def test_a_stage_is_told_that_says_more_than_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress("shop") as shown:
        for name, text in (
            ("hosts", "hosts"),
            ("replicas", "release 2"),
            ("networks", "removes networks and gateways"),
        ):
            shown(Stage(name, text))
    assert said(capfd) == ["release 2", "removes networks and gateways"]


def test_a_note_has_its_mark_in_a_log_as_on_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """In a build's log it stands between what is done, and whoever looks for it looks for the mark."""
    with Progress("shop") as shown:
        shown(Note("networks.common: nobody else is on it"))
    assert said(capfd) == ["! networks.common: nobody else is on it"]


def test_hosts_that_wait_for_the_lock_are_a_line_once_it_is_ours() -> None:
    with Progress("shop", quiet=True) as shown:
        for name in ("hosts", "lock", "hosts", "images"):
            shown(Stage(name, name))
    assert [stage.name for stage in shown.stages] == ["lock", "hosts", "images"]


def test_an_image_is_a_line_however_long_its_name() -> None:
    """On 80 columns the service stood on one line and its digest, cut all the same, on the next."""
    shown, narrow = Progress("shop"), io.StringIO()
    shown(Stage("images", "images"))
    shown(ImageEvent("web", Transfer(text=f"localhost:5000/shop/web@sha256:{'0' * 64}"), done=True))
    Console(file=narrow, width=80).print(Group(*shown._stage_lines(final=True)))
    (line,) = (line for line in narrow.getvalue().splitlines() if "web" in line)
    assert line.startswith("    web  localhost:5000/shop/web@sha256:0")
