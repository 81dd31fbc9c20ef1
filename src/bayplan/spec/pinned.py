"""Which volumes are bound to the host that they are on, and the services that live there with them."""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.spec.model import App, Service
from bayplan.spec.storage import Mount, Volume

_ELSEWHERE = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p", "tmpfs"})


def is_shared(volume: Volume) -> bool:
    """Whether every host finds the same data in it, or none is kept: a network's file system, a driver of its own."""
    return volume.driver != "local" or volume.driver_opts.get("type", "") in _ELSEWHERE


def pinned(app: App, service: Service) -> Iterator[tuple[Mount, Volume]]:
    """The service's mounts of volumes that are on one host."""
    for mount in service.mounts:
        volume = app.volumes.get(mount.source) if mount.kind == "volume" else None
        if volume is not None and not is_shared(volume):
            yield mount, volume


def written_volumes(app: App, service: Service) -> frozenset[str]:
    """The names of volumes of one host that it may write to, so that it can be only one."""
    return frozenset(volume.name for mount, volume in pinned(app, service) if not mount.read_only)


def writes_volume(app: App, service: Service) -> str | None:
    """The first of them; None: there is none."""
    return min(written_volumes(app, service), default=None)


def host_paths(app: App) -> frozenset[str]:
    """Paths that hosts must have: sources of bind mounts."""
    return frozenset(m.source for s in app.services.values() for m in s.mounts if m.kind == "bind")
