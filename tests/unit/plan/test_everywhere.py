"""`deploy.mode: global`: one on each host that the constraints allow, and none in the stead of one that is unknown."""

from __future__ import annotations

from dataclasses import replace

from tests import given

from bayplan.facts import Facts, HostFacts
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.steps import Plan, Remove, Run
from bayplan.spec.model import Placement, Resources

SSD = Placement(constraints=("node.labels.disk == ssd",))
FLEET = given.fleet(*(given.host(f"h{n}", labels={"disk": d}) for n, d in enumerate(("ssd", "hdd", "ssd"), 1)))
AGENT = given.service("worker", mode="global", ports=())
GOAL = given.goal(FLEET, AGENT)


def planned(goal: Goal, facts: Facts) -> Plan:
    """With what hosts need before taken as done."""
    return plan(goal, given.settled(goal.fleet, facts), 0.0)


def runs(made: Plan) -> list[tuple[str, str]]:
    return [(s.host, s.container.name) for s in made.steps if isinstance(s, Run)]


def facts(*hosts: HostFacts) -> Facts:
    return given.facts(*hosts)


def test_each_host_gets_one() -> None:
    made = planned(GOAL, facts(given.up("h1"), given.up("h2"), given.up("h3")))
    assert runs(made) == [(f"h{n}", f"shop-worker-{n}-r1") for n in (1, 2, 3)]


def test_constraints_say_which() -> None:
    goal = given.goal(FLEET, AGENT.model_copy(update={"placement": SSD}))
    made = planned(goal, facts(given.up("h1"), given.up("h2"), given.up("h3")))
    assert [host for host, _ in runs(made)] == ["h1", "h3"]


def test_a_host_that_is_silent_is_left_alone_and_nothing_stands_in_for_it() -> None:
    stand = [given.replica(AGENT, n, f"h{n}") for n in (1, 2)]
    made = planned(GOAL, facts(given.up("h1", stand[0]), given.up("h2", stand[1]), given.silent("h3")))
    assert (runs(made), made.presumed, made.waiting) == ([], (), ())


def test_a_new_host_gets_one_and_who_stands_stays() -> None:
    """Also when it comes before them in fleet.yaml, so that their numbers are others by now."""
    wider = replace(GOAL, fleet=given.fleet("h4", *FLEET.hosts.values()))
    stand = [given.replica(AGENT, n, f"h{n}") for n in (1, 2, 3)]
    there = [given.up(f"h{n}", stand[n - 1]) for n in (1, 2, 3)]
    made = planned(wider, facts(given.up("h4"), *there))
    assert [(h, n) for h, n in runs(made)] == [("h4", "shop-worker-1-r1")]
    assert not [s for s in made.steps if isinstance(s, Remove)]


def test_where_it_has_no_room_only_that_host_says_why() -> None:
    greedy = AGENT.model_copy(update={"resources": Resources(reserved_cpus=3)})
    goal = given.goal(FLEET, greedy)
    other = given.replica(given.service("db", resources=Resources(reserved_cpus=2)), 1, "h2", app="other")
    made = planned(goal, facts(given.up("h1"), given.up("h2", other), given.up("h3")))
    assert [host for host, _ in runs(made)] == ["h1", "h3"]
    [lacking] = made.unplaced
    assert (lacking.count, [r.host for r in lacking.why]) == (1, ["h2"])


def test_from_a_number_to_each_host_and_back_nothing_that_may_stay_is_started_anew() -> None:
    three = AGENT.model_copy(update={"mode": "replicated", "replicas": 3})
    stand = [given.replica(AGENT, 1, "h2"), given.replica(AGENT, 2, "h3")]
    there = facts(given.up("h1"), given.up("h2", stand[0]), given.up("h3", stand[1]))
    assert [host for host, _ in runs(planned(GOAL, there))] == ["h1"]
    assert [host for host, _ in runs(planned(given.goal(FLEET, three), there))] == ["h1"]


def test_of_two_on_a_host_one_goes() -> None:
    stand = [given.replica(AGENT, n, f"h{n}") for n in (1, 2, 3)]
    more = given.replica(AGENT, 4, "h2")
    made = planned(GOAL, facts(given.up("h1", stand[0]), given.up("h2", stand[1], more), given.up("h3", stand[2])))
    assert [(s.host, s.replica) for s in made.steps if isinstance(s, Remove)] == [("h2", more.name)]


def test_it_leaves_a_host_that_it_may_not_be_on_any_more_and_the_last_ones_while_a_host_is_silent_stay() -> None:
    goal = given.goal(FLEET, AGENT.model_copy(update={"placement": SSD}))
    stand = {n: given.replica(AGENT, n, f"h{n}") for n in (1, 2, 3)}
    all_up = facts(*(given.up(f"h{n}", r) for n, r in stand.items()))
    assert [s.host for s in planned(goal, all_up).steps if isinstance(s, Remove)] == ["h2"]
    alone = facts(given.silent("h1"), given.up("h2", stand[2]), given.silent("h3"))
    assert not [s for s in planned(goal, alone).steps if isinstance(s, Remove)]
    nowhere = given.goal(FLEET, AGENT.model_copy(update={"placement": Placement(constraints=("node.zone == x",))}))
    assert len([s for s in planned(nowhere, all_up).steps if isinstance(s, Remove)]) == 3


def test_a_job_runs_once_on_each_host() -> None:
    job = AGENT.model_copy(update={"mode": "global-job"})
    done = given.replica(job, 2, "h2", state="exited", exit_code=0)
    made = planned(given.goal(FLEET, job), facts(given.up("h1"), given.up("h2", done), given.up("h3")))
    assert [host for host, _ in runs(made)] == ["h1", "h3"]
