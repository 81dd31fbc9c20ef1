"""What an image says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def exposed(config: Mapping[str, Any]) -> tuple[int, ...]:
    """TCP ports of an image's configuration: {"ExposedPorts": {"80/tcp": {}}} (OCI image-spec 1.1, "config")."""
    named = (port.partition("/") for port in config.get("ExposedPorts") or ())
    return tuple(sorted(int(port) for port, _, protocol in named if protocol in ("", "tcp") and port.isdecimal()))
