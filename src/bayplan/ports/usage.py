"""What replicas used, kept from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sample:
    """What one replica used at one moment. time: seconds since 1970; cpus: cores; memory: bytes."""

    time: float
    app: str
    service: str
    replica: str
    host: str
    cpus: float
    memory: int


class UsageStore(Protocol):
    """Samples of one fleet, kept from run to run. Methods raise BayplanError."""

    async def add(self, samples: Sequence[Sample]) -> None: ...

    async def since(self, app: str, start: float) -> tuple[Sample, ...]: ...
