"""The way out of traffic, to a stop: as a replica goes, but stopped at the end and kept."""

from __future__ import annotations

from collections.abc import Collection

from bayplan.facts import Facts, Replica
from bayplan.plan.goal import Goal
from bayplan.plan.pools import retire
from bayplan.plan.slots import STOPPED
from bayplan.plan.standing import endpoints
from bayplan.plan.steps import Plan, Remove, Step, Stop, Waiting


def halt(goal: Goal, which: Collection[tuple[str, str]], facts: Facts, why: str) -> Plan:
    """The next step of each replica, by (host, name): drained, out of the pools, stopped. Empty when all are."""
    waiting: list[Waiting] = []
    chosen = [r for r in facts.replicas(goal.app.name) if (r.host, r.name) in which]
    steps = tuple(step for replica in chosen for step in _next(goal, replica, facts, why, waiting))
    return Plan(steps=steps, waiting=tuple(waiting))


def _next(goal: Goal, replica: Replica, facts: Facts, why: str, waiting: list[Waiting]) -> list[Step]:
    if replica.state == "removing" or (replica.state in STOPPED and not endpoints(replica, facts)):
        return []
    out = retire(goal, replica, goal.app.services.get(replica.service), facts, why, waiting)
    return [Stop(s.host, s.service, s.replica, s.grace, s.why) if isinstance(s, Remove) else s for s in out]
