"""The health check that an engine runs in a service's replicas."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bayplan.spec.model import Healthcheck, Service

_UNSET = Healthcheck()


@dataclass(frozen=True, slots=True)
class Check:
    """Seconds. test: () where it is not known, ("NONE",) where nothing is checked. start_interval None: as `interval`.

    What is not said is as engines have it (Docker Engine API, "HealthConfig").
    """

    test: tuple[str, ...]
    interval: float
    timeout: float
    start_period: float
    retries: int
    start_interval: float | None = None

    @property
    def asks(self) -> bool:
        """Whether something is known to be checked."""
        return self.test not in ((), ("NONE",))

    def dump(self) -> dict[str, Any]:
        """As a digest counts it."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def check_of(service: Service) -> Check:
    """The service's own; what that leaves out, or has as 0, is as its image's says."""
    own, images = service.healthcheck or _UNSET, service.image_healthcheck or _UNSET
    return Check(
        test=own.test or images.test,
        interval=own.interval or images.interval or 30.0,
        timeout=own.timeout or images.timeout or 30.0,
        start_period=own.start_period or images.start_period or 0.0,
        retries=own.retries or images.retries or 3,
        start_interval=own.start_interval or images.start_interval,
    )
