"""Everything that a run on one fleet needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bayplan.ports.engine import Engine
from bayplan.ports.gateway import Gateway
from bayplan.ports.lock import Lock
from bayplan.ports.reach import Reach
from bayplan.ports.registry import Registry
from bayplan.ports.releases import Releases
from bayplan.spec.model import Fleet


class Clock(Protocol):
    """Time, so that it can be a value in tests."""

    def now(self) -> float:
        """Seconds, monotonic."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class FleetPorts:
    """Everything that a run on one fleet needs, by host name. registry None: one local host, images by id.

    slow: is told a host for whose answer somebody has been waiting for a while.
    """

    fleet: Fleet
    reaches: Mapping[str, Reach]
    engines: Mapping[str, Engine]
    gateways: Mapping[str, Gateway]
    registry: Registry | None
    releases: Releases
    clock: Clock
    lock: Lock
    slow: Callable[[str], None] = lambda _: None
