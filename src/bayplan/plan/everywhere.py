"""Which slots a service is to have, and, of one with a replica on each host (`deploy.mode: global`), where they are.

A slot of such a service is a host: its number is the host's place in fleet.yaml. That place may change, and labels do
not; so what stands on a host counts in that host's slot, whatever number it was started with. A host that does not
answer has no slot: nothing is planned there, nothing in its stead, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from bayplan.facts import Facts, HostFacts, Replica
from bayplan.plan.constraints import unmet
from bayplan.plan.goal import Goal
from bayplan.spec.model import Service


def wanted_slots(goal: Goal, service: Service, facts: Facts) -> Collection[int]:
    """The slots that are to have a replica, ascending."""
    return seats(goal, service, facts) if service.is_global else range(1, service.replicas + 1)


def seats(goal: Goal, service: Service, facts: Facts) -> Mapping[int, str]:
    """The host of each slot of a global service; empty for any other, whose slots may be anywhere."""
    if not service.is_global or not service.replicas:
        return {}
    return {
        number: host.name
        for number, host in enumerate(goal.fleet.hosts.values(), 1)
        if (there := facts.hosts.get(host.name)) and there.reachable
        if unmet(service, host, there.engine.arch) is None
    }


def wants_none(goal: Goal, service: Service, facts: Facts) -> bool:
    """Whether it is to have no replica at all, or none that runs; of a global service, as soon as every host has
    answered.
    """
    if service.name in goal.stopped:
        return True
    known = all(h.reachable or h.name in goal.assume_down for h in facts.hosts.values())
    return not wanted_slots(goal, service, facts) and (known or not service.replicas)


def seated(goal: Goal, facts: Facts) -> Facts:
    """The facts, with each replica of a global service in its host's slot."""
    services = {name for name, service in goal.app.services.items() if service.is_global}
    if not services:
        return facts
    places = {name: number for number, name in enumerate(goal.fleet.hosts, 1)}

    def seat(replica: Replica) -> Replica:
        if replica.app != goal.app.name or replica.service not in services:
            return replica
        return replace(replica, slot=places.get(replica.host, len(places) + replica.slot))

    def host(there: HostFacts) -> HostFacts:
        return replace(there, engine=replace(there.engine, replicas=tuple(map(seat, there.engine.replicas))))

    return Facts({name: host(there) for name, there in facts.hosts.items()})
