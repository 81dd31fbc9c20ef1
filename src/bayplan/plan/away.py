"""Whether gateways reach where a service is that is not run here: what ran in its stead goes only then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bayplan.facts import Facts, ServerFacts
from bayplan.plan.goal import Goal
from bayplan.plan.leads import leads
from bayplan.plan.replica import pool_name
from bayplan.plan.steps import Held
from bayplan.spec.model import External, Service

RESOLVES = 3.0  # seconds in which a gateway that has just begun learns a name: it asks once a second


def unreached(goal: Goal, service: Service, facts: Facts) -> Mapping[str, str]:
    """Why not, by host, of the gateways that answer and are to lead there; "" is not known yet."""
    return dict(_unreached(goal, service, facts))


def _unreached(goal: Goal, service: Service, facts: Facts) -> Iterator[tuple[str, str]]:
    for host, port in leads(goal.fleet, service):
        there = facts.hosts.get(host)
        if there is None or not there.reachable or there.gateway is None:
            continue
        away = there.gateway.away.get(pool_name(goal.app.name, service.name, port))
        why = why_unreached(away)
        if why is not None:
            yield host, why


def why_unreached(away: ServerFacts | None) -> str | None:
    """Of one gateway, by what it says of it. "" is not known yet, None that nothing is wrong."""
    if away is None:
        return ""
    if away.state == "maint":
        return "its name is not found" if away.since >= RESOLVES else ""
    if away.up is None:
        return ""
    return None if away.up else f"its check says {away.check}"


def place(away: External) -> str:
    """Where it is, in words."""
    return f"{away.address}:{away.port}"


def held(service: Service, away: External, why: Mapping[str, str]) -> Held:
    """What was run stays, and why."""
    told = "; ".join(f"from {host}, {words}" for host, words in sorted(why.items()))
    return Held(service.name, "", f"stays: {place(away)}, which is to take its place, does not answer ({told})")
