"""Releases: what should run, recorded in the fleet; and what replicas used, in a database (`usage`, imported late)."""

from __future__ import annotations

import os
from pathlib import Path

from bayplan.errors import UsageError
from bayplan.ports import Registry, Releases
from bayplan.spec.model import Fleet
from bayplan.store.directory import DirectoryReleases
from bayplan.store.oci import OciReleases

__all__ = ["DirectoryReleases", "OciReleases", "releases_for", "store_url"]


def releases_for(fleet: Fleet, registry: Registry | None) -> Releases:
    """In the registry; of a fleet without one, below BAYPLAN_STATE (default: ~/.local/state/bayplan).

    A registry of the fleet's own is all its own; in one that was there before, fleets are told apart by their names.
    """
    if registry is None:
        return DirectoryReleases(_state() / fleet.name)
    is_shared = fleet.registry is not None and fleet.registry.address is not None
    return OciReleases(registry, f"bayplan/{fleet.name}" if is_shared else "bayplan")


def store_url(fleet: Fleet) -> str:
    """`store:` of the fleet file, or an SQLite file beside the releases of fleets without a registry."""
    return fleet.store or f"sqlite:///{_state() / fleet.name / 'state.db'}"


def _state() -> Path:
    """Raises UsageError for a user that has no home, as in containers."""
    if said := os.environ.get("BAYPLAN_STATE"):
        return Path(said)
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "bayplan"
    except RuntimeError as homeless:
        todo = "name one: export BAYPLAN_STATE=/var/lib/bayplan, or set HOME"
        raise UsageError("this user has no home directory, where releases would be kept", todo=todo) from homeless
