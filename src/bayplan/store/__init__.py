"""Releases: what should run, recorded in the fleet."""

from __future__ import annotations

import os
from pathlib import Path

from bayplan.ports import Registry, Releases
from bayplan.spec.model import Fleet
from bayplan.store.directory import DirectoryReleases
from bayplan.store.oci import OciReleases

__all__ = ["DirectoryReleases", "OciReleases", "releases_for"]


def releases_for(fleet: Fleet, registry: Registry | None) -> Releases:
    """In the registry; of a fleet without one, below BAYPLAN_STATE (default: ~/.local/state/bayplan).

    A registry of the fleet's own is all its own; in one that was there before, fleets are told apart by their names.
    """
    if registry is None:
        return DirectoryReleases(_state() / fleet.name)
    is_shared = fleet.registry is not None and fleet.registry.address is not None
    return OciReleases(registry, f"bayplan/{fleet.name}" if is_shared else "bayplan")


def _state() -> Path:
    default = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bayplan"
    return Path(os.environ.get("BAYPLAN_STATE") or default)
