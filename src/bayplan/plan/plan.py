"""The plan of one pass: from the goal and the facts to independent steps. Time is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bayplan.facts import Facts, Replica
from bayplan.plan.board import Board
from bayplan.plan.goal import Goal, Run
from bayplan.plan.pools import retire, sweep
from bayplan.plan.rollout import Rollout
from bayplan.plan.routes import configure, still_routed
from bayplan.plan.steps import Configure, Plan, Rewrite, Step, Waiting, join
from bayplan.plan.system import plan_system, registry_endpoint
from bayplan.spec.model import Fleet


def plan(goal: Goal, facts: Facts, now: float, run: Run | None = None) -> Plan:
    """What to do now. now: seconds, on the clock of `run.first_seen`. Converged facts give an empty plan."""
    run = run or Run()
    board = Board(goal, facts, run)
    steps, conflicts = configure(goal, facts)
    services = (
        Rollout(goal, service, facts, run, now, board).plan()
        for service in goal.app.services.values()
        if goal.only is None or service.name in goal.only
    )
    fronts = Plan(steps=steps, failures=conflicts)
    rest = Plan(steps=tuple(sweep(goal, facts)))
    return join((_hosts(goal.fleet, facts), fronts, *services, _orphans(goal, facts), rest))


def system_plan(fleet: Fleet, facts: Facts) -> Plan:
    """What the hosts need before any app: gateways, guards, the registry and the way to it."""
    registry = registry_endpoint(fleet, facts)
    ways = tuple(
        Configure(h.name, replace(h.gateway.table, registry=registry), "the way to the fleet's registry")
        for h in facts.reachable()
        if h.gateway and h.gateway.table.registry != registry
    )
    return join((_hosts(fleet, facts), Plan(steps=ways)))


def _hosts(fleet: Fleet, facts: Facts) -> Plan:
    """Steps for what bayplan itself runs on each host."""
    out_of_step = (
        Rewrite(h.name, "its file is not what it runs with")
        for h in facts.reachable()
        if h.gateway and not h.gateway.in_step
    )
    silent = (
        Waiting(h.name, "", "gateway", "has started and does not answer yet")
        for h in facts.reachable()
        if h.gateway is None and (c := h.system("gateway")) and c.state == "running"
    )
    return Plan(steps=(*plan_system(fleet, facts), *out_of_step), waiting=tuple(silent))


def _orphans(goal: Goal, facts: Facts) -> Plan:
    """Replicas of services that the app does not have any more go, once no listener leads to them."""
    waiting: list[Waiting] = []
    steps: list[Step] = []
    for replica in facts.replicas(goal.app.name):
        if replica.service not in goal.app.services and replica.state not in ("removing", "creating"):
            steps += _orphan(goal, replica, facts, waiting)
    return Plan(steps=tuple(steps), waiting=tuple(waiting))


def _orphan(goal: Goal, replica: Replica, facts: Facts, waiting: list[Waiting]) -> Iterable[Step]:
    if still_routed(facts, goal.app.name, replica.service):
        waiting.append(Waiting(replica.host, replica.service, replica.name, "a listener still leads to it"))
        return ()
    return retire(goal, replica, None, facts, f"release {goal.release} has no service {replica.service}", waiting)
