"""Which of the hosts that may take a replica gets it.

Today: spread for fault tolerance (the service's own spread preferences, then hosts, then zones), ties to the first in
fleet.yaml. The seam for packing to the fewest hosts: `choose` sees every candidate at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bayplan.plan.filters import attribute
from bayplan.spec.model import Host, Service


@dataclass(frozen=True, slots=True)
class Choice:
    """The host, and why it rather than the others."""

    host: str
    why: str


def choose(service: Service, candidates: Sequence[Host], counts: Mapping[str, int], hosts: Sequence[Host]) -> Choice:
    """One of `candidates` (at least one). counts: replicas of the service by host; hosts: the whole fleet."""
    left = list(candidates)
    for key in service.placement.spread:
        left = _fewest(left, _sharing(left, hosts, counts, partial(attribute, key=key)))
    left = _fewest(left, [counts.get(host.name, 0) for host in left])
    left = _fewest(left, _sharing(left, hosts, counts, lambda host: host.zone or host.name))
    names = {host.name for host in left}
    best = next(host for host in hosts if host.name in names)
    return Choice(best.name, _why(best, len(candidates), counts))


def _fewest(candidates: list[Host], replicas: list[int]) -> list[Host]:
    least = min(replicas)
    return [host for host, has in zip(candidates, replicas, strict=True) if has == least]


def _sharing(
    candidates: list[Host], hosts: Sequence[Host], counts: Mapping[str, int], of: Callable[[Host], str | None]
) -> list[int]:
    """For each candidate, the replicas on all hosts of which `of` tells the same."""
    total: Counter[str | None] = Counter()
    for host in hosts:
        if has := counts.get(host.name, 0):
            total[of(host)] += has
    return [total[of(host)] for host in candidates]


def _why(host: Host, candidates: int, counts: Mapping[str, int]) -> str:
    if candidates == 1:
        return "the only host that can take it"
    has = counts.get(host.name, 0)
    zone = f", zone {host.zone}" if host.zone else ""
    return f"{'none' if has == 0 else f'only {has}'} of its replicas there{zone}"
