"""The facts as they will be: what keeps a pass from planning what the one before has begun."""

from __future__ import annotations

from tests import given

from bayplan.converge.overlay import granted, overlay
from bayplan.plan.board import Board
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.steps import Network, Pull, Remove, Start, Step, Stop
from bayplan.spec.model import Resources

FLEET = given.fleet("h1", "h2")
WEB = given.service(replicas=2, resources=Resources(reserved_cpus=1.0, reserved_memory=given.GB))
GOAL: Goal = given.goal(FLEET, WEB)


def test_what_is_being_made_stands_with_its_ports_and_its_reservation() -> None:
    seen = given.standing(GOAL)
    steps = plan(GOAL, seen, 0.0).steps
    assert [s.host for s in steps] == ["h1", "h2"]
    later = overlay(seen, steps)
    assert [(r.slot, r.host, r.state, r.cpus) for r in later.replicas()] == [
        (1, "h1", "creating", 1.0),
        (2, "h2", "creating", 1.0),
    ]
    assert Board(GOAL, later, Memory()).berths["h1"].used_memory == given.GB
    again = plan(GOAL, later, 0.0)
    assert again.steps == ()
    assert {w.why for w in again.waiting} == {"is starting"}


def test_what_is_being_started_is_neither_stopped_nor_exited() -> None:
    stopped = given.replica(WEB, 1, "h1", state="exited", exit_code=0)
    seen = given.standing(GOAL, stopped)
    begun: list[Step] = [Start("h1", "web", stopped.name, "was stopped")]
    [replica] = overlay(seen, begun).replicas()
    assert (replica.id, replica.state) == (stopped.id, "creating")


def test_what_is_being_stopped_is_on_its_way_out() -> None:
    replicas = [given.replica(WEB, n, "h1", port=n) for n in (1, 2)]
    begun: list[Step] = [Stop("h1", "web", replicas[0].name, 1, ""), Remove("h1", "web", replicas[1].name, 1, "")]
    assert {r.state for r in overlay(given.standing(GOAL, *replicas), begun).replicas()} == {"removing"}


def test_nothing_is_laid_over_a_host_that_does_not_answer() -> None:
    seen = given.standing(GOAL)
    silent = given.facts(seen.hosts["h1"], given.silent("h2"))
    assert overlay(silent, plan(GOAL, seen, 0.0).steps).hosts["h2"] == given.silent("h2")


def test_what_is_granted_is_there() -> None:
    seen = given.facts(given.up("h1", networks=frozenset(), images=frozenset()), given.up("h2"))
    later = granted(seen, [Network("h1", "n", "b", ""), Pull("h1", "image", "")])
    assert (later.hosts["h1"].images, later.hosts["h1"].engine.networks) == ({"image"}, {"n"})
