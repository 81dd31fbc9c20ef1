"""Compose file and fleet.yaml to frozen models; every mistake at once, with file and line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayplan.spec.app import load_app, secret_values
    from bayplan.spec.both import load_both
    from bayplan.spec.fleet import load_fleet, local_fleet
    from bayplan.spec.name import app_name

__all__ = ["app_name", "load_app", "load_both", "load_fleet", "local_fleet", "secret_values"]

_HOMES = {
    "app_name": "name",
    "load_app": "app",
    "load_both": "both",
    "load_fleet": "fleet",
    "local_fleet": "fleet",
    "secret_values": "app",
}


def __getattr__(name: str) -> Any:
    """Each from its module when it is first asked for: most who need the models read no file."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
