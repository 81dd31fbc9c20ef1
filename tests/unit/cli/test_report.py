"""The exit status of what changes a fleet."""

from __future__ import annotations

import pytest
from tests.given import fleet, goal

from bayplan.cli.report import exit_status
from bayplan.converge.loop import Outcome
from bayplan.facts import Facts, HostFacts
from bayplan.operate.bring import Result
from bayplan.plan.steps import Failure, Plan, Waiting

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
