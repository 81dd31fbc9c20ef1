"""What replicas take: a number, or, where fleet.yaml's `usage` says so, one for each slot of the day.

Services whose peaks do not meet share a host: what counts is the fullest slot of what stands together.
"""

from __future__ import annotations

from dataclasses import dataclass

from bayplan.spec.model import Fleet

Amount = float | tuple[float, ...]  # all tuples of a fleet have the same length


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
    if isinstance(one, tuple):
        return tuple(
            a + b for a, b in zip(one, other if isinstance(other, tuple) else (other,) * len(one), strict=True)
        )
    return tuple(one + b for b in other) if isinstance(other, tuple) else one + other


def peak(amount: Amount) -> float:
    """The fullest slot's."""
    return max(amount) if isinstance(amount, tuple) else amount


def fullest(used: Amount, wanted: Amount) -> tuple[float, float]:
    """(used, wanted) in the slot in which the two together are the most."""
    if not isinstance(used, tuple) and not isinstance(wanted, tuple):
        return used, wanted
    slots = len(used) if isinstance(used, tuple) else len(wanted)  # type: ignore[arg-type]
    one = used if isinstance(used, tuple) else (used,) * slots
    other = wanted if isinstance(wanted, tuple) else (wanted,) * slots
    return max(zip(one, other, strict=True), key=sum)
