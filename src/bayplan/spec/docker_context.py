"""Which engine `docker` on this machine talks to: DOCKER_HOST's, else the context's that is in use.

As its command line has it (docker/cli, cli/command, `resolveContextName`; cli/context/store for the files).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from bayplan.errors import UsageError
from bayplan.spec.model import ENGINE_SOCKET

_DEFAULT = "default"  # the context that is always there: this machine's engine


@dataclass(frozen=True, slots=True)
class Named:
    """An engine's address, who names it, and how one is rid of that; "" where nobody does."""

    address: str
    by: str = ""
    undo: str = ""


def engine_named(environment: Mapping[str, str]) -> Named:
    """Raises UsageError for a context that is not there: docker would not do either."""
    if host := environment.get("DOCKER_HOST"):
        return Named(host, "DOCKER_HOST", "unset DOCKER_HOST")
    home = environment.get("HOME", "")
    directory = Path(environment.get("DOCKER_CONFIG") or (f"{home}/.docker" if home else "/nonexistent"))
    name, undo = environment.get("DOCKER_CONTEXT", ""), "unset DOCKER_CONTEXT"
    if not name:
        name, undo = str(_json(directory / "config.json").get("currentContext") or ""), "docker context use default"
    if name in ("", _DEFAULT):
        return Named(f"unix://{ENGINE_SOCKET}")
    meta = directory / "contexts" / "meta" / sha256(name.encode()).hexdigest() / "meta.json"
    address = _host(_json(meta))
    if not address:
        raise UsageError(f"the docker context {name} is not there", where=str(meta), todo=f"for this machine: {undo}")
    return Named(address, f"the docker context {name}", undo)


def _host(said: Mapping[str, Any]) -> str:
    endpoints = said.get("Endpoints")
    engine = endpoints.get("docker") if isinstance(endpoints, dict) else None
    return str(engine.get("Host") or "") if isinstance(engine, dict) else ""


def _json(path: Path) -> Mapping[str, Any]:
    """{} where it is none: docker goes on without, too."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
