"""Which of the hosts that may take a replica gets it.

Today: spread for fault tolerance (the service's own spread preferences, then hosts, then zones), ties to the first in
fleet.yaml. The seam for packing to the fewest hosts: `choose` sees every candidate at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayplan.plan.filters import attribute
from bayplan.spec.model import Host, Service


@dataclass(frozen=True, slots=True)
class Choice:
    """The host, and why it rather than the others."""

    host: str
    why: str


def choose(service: Service, candidates: Sequence[Host], counts: Mapping[str, int], hosts: Sequence[Host]) -> Choice:
    """One of `candidates` (at least one). counts: replicas of the service by host; hosts: the whole fleet."""
    per_zone: dict[str, int] = {}
    for host in hosts:
        per_zone[_zone(host)] = per_zone.get(_zone(host), 0) + counts.get(host.name, 0)
    rank = {host.name: i for i, host in enumerate(hosts)}

    def cost(host: Host) -> tuple[int, ...]:
        wished = tuple(_sharing(key, host, counts, hosts) for key in service.placement.spread)
        return (*wished, counts.get(host.name, 0), per_zone[_zone(host)], rank[host.name])

    best = min(candidates, key=cost)
    return Choice(best.name, _why(best, len(candidates), counts))


def _zone(host: Host) -> str:
    return host.zone or host.name


def _sharing(key: str, host: Host, counts: Mapping[str, int], hosts: Sequence[Host]) -> int:
    """Replicas of the service on hosts that share this label's value."""
    value = attribute(host, key)
    return sum(counts.get(h.name, 0) for h in hosts if attribute(h, key) == value)


def _why(host: Host, candidates: int, counts: Mapping[str, int]) -> str:
    if candidates == 1:
        return "the only host that can take it"
    has = counts.get(host.name, 0)
    zone = f", zone {host.zone}" if host.zone else ""
    return f"{'none' if has == 0 else f'only {has}'} of its replicas there{zone}"
