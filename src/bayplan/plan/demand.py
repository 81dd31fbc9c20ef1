"""What replicas take: a number, or, where fleet.yaml's `usage` says so, one for each slot of the day.

Services whose peaks do not meet share a host: what counts is the fullest slot of what stands together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bayplan.plan.packing.amount import Amount, peak
from bayplan.spec.model import Fleet


@dataclass(frozen=True, slots=True)
class Demand:
    """Of one replica. cpus: cores; memory: bytes."""

    cpus: Amount
    memory: Amount

    @property
    def peaks(self) -> tuple[float, float]:
        """The most of each in any slot."""
        return peak(self.cpus), peak(self.memory)

    @property
    def is_over_day(self) -> bool:
        """Whether it differs from slot to slot."""
        return isinstance(self.cpus, tuple) or isinstance(self.memory, tuple)

    def plus(self, other: Demand) -> Demand:
        """Of the two together."""
        return Demand(plus(self.cpus, other.cpus), plus(self.memory, other.memory))


def demand_of(fleet: Fleet, app: str, service: str, cpus: float, memory: float) -> Demand:
    """Its usage, where that is known, in place of what is reserved (cpus, memory)."""
    known = fleet.usage.get(f"{app}/{service}") or fleet.usage.get(service)
    return Demand(known.cpus or cpus, known.memory or memory) if known else Demand(cpus, memory)


def plus(one: Amount, other: Amount) -> Amount:
    """Slot by slot."""
    if isinstance(one, tuple) or isinstance(other, tuple):
        return tuple(a + b for a, b in _slots(one, other))
    return one + other


def minus(one: Amount, other: Amount) -> Amount:
    """Slot by slot."""
    return plus(one, tuple(-b for b in other) if isinstance(other, tuple) else -other)


def fullest(used: Amount, wanted: Amount) -> tuple[float, float]:
    """(used, wanted) in the slot in which the two together are the most."""
    if isinstance(used, tuple) or isinstance(wanted, tuple):
        return max(_slots(used, wanted), key=sum)
    return used, wanted


def _slots(one: Amount, other: Amount) -> Iterator[tuple[float, float]]:
    """The two in each slot of the day; of a number, the same in all."""
    number = max(len(amount) for amount in (one, other) if isinstance(amount, tuple))
    first, second = (amount if isinstance(amount, tuple) else (amount,) * number for amount in (one, other))
    return zip(first, second, strict=True)
