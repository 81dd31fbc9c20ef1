"""What an image says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bayplan.spec.model import Healthcheck

_NANO: Final = 1_000_000_000
_UNCHECKED: Final = Healthcheck(test=("NONE",))


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """ports: TCP ports that it listens on (EXPOSE). healthcheck: its HEALTHCHECK; of test ("NONE",) if it has none.
    architectures: what it is for, by the kernel's names; () is not known.
    """

    ports: tuple[int, ...] = ()
    healthcheck: Healthcheck = _UNCHECKED
    architectures: tuple[str, ...] = ()


def read_config(config: Mapping[str, Any]) -> ImageConfig:
    """Of the configuration that an engine or a registry tells: {"ExposedPorts": {"80/tcp": {}}} (OCI image-spec 1.1,
    "config"), and Docker's own `Healthcheck` beside it.
    """
    named = (port.partition("/") for port in config.get("ExposedPorts") or ())
    ports = sorted(int(port) for port, _, protocol in named if protocol in ("", "tcp") and port.isdecimal())
    return ImageConfig(tuple(ports), _healthcheck(config.get("Healthcheck") or {}))


def _healthcheck(said: Mapping[str, Any]) -> Healthcheck:
    """Nanoseconds as seconds; 0 is not set, as for the engine."""

    def seconds(key: str) -> float | None:
        return said[key] / _NANO if said.get(key) else None

    if not said.get("Test"):
        return _UNCHECKED
    return Healthcheck(
        test=tuple(said["Test"]),
        interval=seconds("Interval"),
        timeout=seconds("Timeout"),
        start_period=seconds("StartPeriod"),
        retries=said.get("Retries") or None,
        start_interval=seconds("StartInterval"),
    )
