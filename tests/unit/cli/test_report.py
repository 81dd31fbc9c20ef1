"""What is told of what changed a fleet, and the exit status."""

from __future__ import annotations

import pytest
import typer
from tests import given
from tests.given import fleet, goal, service

from bayplan.cli.progress import Progress
from bayplan.cli.report import as_json, exit_status, finish
from bayplan.converge.outcome import Outcome, StepEvent
from bayplan.errors import ImageError
from bayplan.facts import Facts, HostFacts
from bayplan.operate.bring import Result
from bayplan.plan.steps import Failure, Plan, Presumed, Pull, Stop, Unplaced, Waiting
from bayplan.spec.model import Service

SILENT, ANSWERS = HostFacts("h1", reachable=False, why="no route to host"), HostFacts("h1", reachable=True)
WAITS = Waiting("h1", "web", "shop-web-1-r1", "its gateway may still send requests to shop-web-1-r1")
FAILED = Failure("h2", "web", "shop-web-2-r1", "exited with status 1")


@pytest.mark.parametrize(
    ("h1", "stalled", "failures", "status"),
    [
        (ANSWERS, (), (), 0),
        (SILENT, (), (), 3),
        (SILENT, (WAITS,), (), 3),
        (ANSWERS, (WAITS,), (), 1),
        (SILENT, (WAITS,), (FAILED,), 1),
    ],
)
def test_what_waits_for_a_silent_host_is_converged_in_part(
    h1: HostFacts, stalled: tuple[Waiting, ...], failures: tuple[Failure, ...], status: int
) -> None:
    facts = Facts({"h1": h1, "h2": HostFacts("h2", reachable=True)})
    outcome = Outcome(facts, Plan(), passes=1, failures=failures, stalled=stalled)
    assert exit_status(Result(goal(fleet("h1", "h2")), outcome, is_new=False)) == status


@pytest.mark.parametrize(("unplaced", "status"), [((), 3), ((Unplaced("web", 1, ()),), 1)])
def test_an_image_that_one_host_cannot_fetch_is_a_failure_where_others_do_not_run_it(
    unplaced: tuple[Unplaced, ...], status: int
) -> None:
    facts = Facts({name: HostFacts(name, reachable=True) for name in ("h1", "h2")})
    errors = ((Pull("h2", "shop:1", "is to run here"), ImageError("no space left on device", where="h2")),)
    outcome = Outcome(facts, Plan(unplaced=unplaced), passes=2, errors=errors)
    assert exit_status(Result(goal(fleet("h1", "h2")), outcome, is_new=False)) == status


@pytest.mark.parametrize(("services", "status"), [((service(replicas=0),), 3), ((), 0)])
def test_a_fleet_whose_ports_are_open_is_not_done(
    services: tuple[Service, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = Facts({"h1": HostFacts("h1", reachable=True, unguarded="iptables: not found")})
    result = Result(goal(fleet("h1"), *services), Outcome(facts, Plan(), passes=1), is_new=False)
    assert exit_status(result) == status
    if status:
        with pytest.raises(typer.Exit):
            finish(result, Progress("shop", quiet=True), json=False)
        assert "h1: its guard cannot keep the firewall: iptables: not found" in " ".join(
            capsys.readouterr().err.split()
        )


def test_a_service_that_is_everywhere_wants_a_replica_on_each_host_and_a_stopped_one_none() -> None:
    services = (service("everywhere", mode="global", ports=()), service("web", 3), service("off", 2))
    facts = Facts({name: HostFacts(name, reachable=True) for name in ("h1", "h2")})
    result = Result(
        goal(fleet("h1", "h2"), *services), Outcome(facts, Plan(), passes=1), is_new=False, stopped=frozenset({"off"})
    )
    assert [(s["service"], s["desired"], s["stopped"]) for s in as_json(result)["services"]] == [
        ("everywhere", 2, False), ("web", 3, False), ("off", 0, True),
    ]  # fmt: skip


def test_nothing_to_do_is_not_said_of_a_restart_nor_of_what_is_not_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """A restart's steps are its own; the passes after it find the release as it should be."""
    facts = Facts({"h1": HostFacts("h1", reachable=True)})
    result = Result(goal(fleet("h1"), service("web", 0)), Outcome(facts, Plan(), passes=1), is_new=False)
    lacking = Result(goal(fleet("h1"), service("web", 1)), Outcome(facts, Plan(), passes=1), is_new=False)
    progress = Progress("shop", quiet=True)
    finish(result, progress, json=False)
    finish(lacking, progress, json=False)
    progress(StepEvent(Stop("h1", "web", "shop-web-1-r1", None, "restart"), "done"))
    finish(result, progress, json=False)
    told = [line for line in capsys.readouterr().out.splitlines() if "release" in line]
    assert ["nothing to do" in line for line in told] == [True, False, False]


@pytest.mark.parametrize("had_one", [True, False])
def test_what_never_served_is_not_said_to_serve_on(had_one: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The first release of an app whose replica never becomes ready; and where clients reach what there is none of."""
    web = service("web", 1)
    broken = given.replica(web, 1, "h1", release=2, state="exited")
    before = [given.replica(web, 1, "h1", release=1)] if had_one else []
    failed = (Failure("h1", "web", broken.name, "exited with status 1"),)
    outcome = Outcome(given.facts(given.up("h1", broken, *before)), Plan(), passes=3, failures=failed)
    with pytest.raises(typer.Exit):
        finish(
            Result(goal(fleet("h1"), web, release=2), outcome, is_new=True), Progress("shop", quiet=True), json=False
        )
    told = capsys.readouterr()
    assert ("what served before serves on" in told.err) is had_one
    assert ("://" in told.out) is had_one


def test_what_went_back_by_itself_does_not_stand_still(capsys: pytest.CaptureFixture[str]) -> None:
    web = service("web", 1)
    failed = (Failure("h1", "web", "shop-web-1-r2", "exited with status 1"),)
    outcome = Outcome(given.facts(given.up("h1", given.replica(web, 1, "h1"))), Plan(), passes=3, failures=failed)
    result = Result(goal(fleet("h1"), web, release=3), outcome, is_new=True, went_back=frozenset({"web"}))
    with pytest.raises(typer.Exit):
        finish(result, Progress("shop", quiet=True), json=False)
    told = capsys.readouterr().err
    assert "web is as it was before, as release 3" in told
    assert "stands still" not in told


@pytest.mark.parametrize("refused", [True, False])
def test_a_host_that_lets_nobody_in_is_not_said_to_be_silent_nor_gone(
    refused: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    there = HostFacts("h2", reachable=False, why="the host key is another", todo="make sure", refused=refused)
    plan = Plan(presumed=(Presumed("web", 2, ("h2",)),))
    outcome = Outcome(given.facts(given.up("h1"), there), plan, passes=1)
    result = Result(goal(fleet("h1", "h2"), service("web", 2)), outcome, is_new=False)
    with pytest.raises(typer.Exit):
        finish(result, Progress("shop", quiet=True), json=False)
    told = capsys.readouterr().err
    assert f"h2 does not {'let us in' if refused else 'answer'}: the host key is another" in told
    assert ("--assume-down h2" in told) is not refused


@pytest.mark.parametrize("had_one", [True, False])
def test_a_service_whose_image_no_host_can_fetch_serves_on_as_it_was(
    had_one: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    web = service("web", 1)
    before = [given.replica(web, 1, "h1", release=1)] if had_one else []
    outcome = Outcome(
        given.facts(given.up("h1", *before)),
        Plan(),
        passes=3,
        errors=((Pull("h1", web.image, "is to run here"), ImageError("unknown blob", where="h1")),),
        stalled=(Waiting("h1", "web", "shop-web-1-r2", "waits for its image"),),
    )
    with pytest.raises(typer.Exit):
        finish(
            Result(goal(fleet("h1"), web, release=2), outcome, is_new=True), Progress("shop", quiet=True), json=False
        )
    assert ("web waits for its image; what served before serves on" in capsys.readouterr().err) is had_one
