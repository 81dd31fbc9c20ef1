"""What is to be packed, and a packing of it: plain values, no numpy. Units are the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayplan.plan.packing.amount import Amount


@dataclass(frozen=True, slots=True)
class HostType:
    """Hosts that are all alike. count: how many there are, None: as many as needed; price: of one."""

    name: str
    capacity: Mapping[str, float]
    count: int | None = None
    price: float = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """A service and what each of its replicas takes. limit: replicas a host; types: where alone it may stand."""

    name: str
    replicas: int
    demand: Mapping[str, Amount]
    limit: int | None = None
    types: frozenset[str] | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Apart:
    """A host that runs `service` has at most `limit` of `other`, which is another service."""

    service: str
    other: str
    limit: int


@dataclass(frozen=True, slots=True)
class Problem:
    """All of it. headroom: share of each host that stays free; tolerate: hosts that may be lost at once."""

    types: Sequence[HostType]
    loads: Sequence[Load]
    apart: Sequence[Apart] = ()
    headroom: float = 0.0
    tolerate: int = 0


@dataclass(frozen=True, slots=True)
class Stowed:
    """A host that is used, and the replicas on it by service."""

    type: str
    replicas: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bound:
    """What no packing can be below, and what makes it so, in words."""

    value: float
    why: str


@dataclass(frozen=True, slots=True)
class Packing:
    """An answer. left: replicas that found no host, by service; effort: how much was spent on the search.

    unsafe: in words, a loss of hosts that it does not survive as it should; empty if there is none.
    """

    hosts: Sequence[Stowed]
    left: Mapping[str, int]
    cost: float
    fewest: Bound
    cheapest: Bound
    effort: int
    method: str
    unsafe: str = ""
