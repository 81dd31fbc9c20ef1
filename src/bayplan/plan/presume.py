"""Which replicas may stand on hosts that do not answer: unknown is not empty."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from bayplan.facts import Facts
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.replica import slot_and_host
from bayplan.spec.model import Service


def presumed_slots(
    goal: Goal, service: Service, facts: Facts, seen: Container[int], run: Memory
) -> dict[int, tuple[str, ...]]:
    """Slots that are wanted, not seen, and may stand on one of these hosts: no other is started in their place.

    What this run saw there itself is one thing that tells. A gateway that knows the service's endpoints is another;
    without one, it is all that the release before had.
    """
    unknown = tuple(h.name for h in facts.hosts.values() if not h.reachable and h.name not in goal.assume_down)
    if not unknown or service.is_global:
        return {}
    pooled = tuple(_pooled(goal.app.name, service.name, facts))
    told = {slot for slot, host in pooled if host in unknown}
    there = told if pooled else set(range(1, goal.before.get(service.name, 0) + 1))
    there |= {slot for host in unknown for slot in _stood(goal.app.name, service.name, run.stood.get(host, ()))}
    return {n: unknown for n in range(1, service.replicas + 1) if n in there and n not in seen}


def _stood(app: str, service: str, stood: Iterable[tuple[str, str, int]]) -> Iterator[int]:
    return (slot for of_app, of_service, slot in stood if (of_app, of_service) == (app, service))


def _pooled(app: str, service: str, facts: Facts) -> Iterator[tuple[int, str]]:
    """Slot and host of each of the service's endpoints in the gateways that answered."""
    for host in facts.reachable():
        if host.gateway is None:
            continue
        for pool in host.gateway.table.pools:
            if (pool.app, pool.service) == (app, service):
                told = (slot_and_host(s.server.name) for s in host.gateway.pools.get(pool.name, ()))
                yield from (t for t in told if t)
