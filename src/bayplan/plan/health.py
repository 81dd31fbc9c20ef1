"""The health check that an engine runs in a service's replicas."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from bayplan.spec.model import Healthcheck, Service

T = TypeVar("T")
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
    """The service's own; what that leaves out is as its image's says."""
    own, images = service.healthcheck or _UNSET, service.image_healthcheck or _UNSET
    return Check(
        test=own.test or images.test,
        interval=_first(own.interval, images.interval, 30.0),
        timeout=_first(own.timeout, images.timeout, 30.0),
        start_period=_first(own.start_period, images.start_period, 0.0),
        retries=_first(own.retries, images.retries, 3),
        start_interval=images.start_interval if own.start_interval is None else own.start_interval,
    )


def _first(own: T | None, images: T | None, default: T) -> T:
    return own if own is not None else images if images is not None else default
