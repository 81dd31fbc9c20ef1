"""Mistakes of services and the volumes that they mount."""

from __future__ import annotations

import posixpath

from bayplan.spec.model import App, Fleet, Service
from bayplan.spec.mount_syntax import binds
from bayplan.spec.pinned import writes_volume
from bayplan.spec.resolve import Surroundings

_ONE = "write replicas: 1, mount it read_only"


def check_volumes(app: App, fleet: Fleet | None, around: Surroundings) -> None:
    """A volume has one writer of a service: two replicas of it would write over each other.

    On this machine alone they do as with docker compose, whose files rely on it.
    """
    for service in app.services.values():
        volume = writes_volume(app, service)
        if volume and service.replicas > 1 and not service.is_global:
            at = ("deploy", "replicas") if around.has("services", service.name, "deploy", "replicas") else ("scale",)
            what = f"services.{service.name}: {service.replicas} replicas would write to the one volume {volume}"
            if fleet is not None and fleet.local:
                place = around.place("services", service.name, *at)
                around.mistakes.warn(what, place, f"{_ONE}; on a fleet it is a mistake")
            else:
                todo = f"{_ONE}, or give it driver_opts of what hosts share (type: nfs)"
                around.wrong(what, "services", service.name, *at, todo=todo)
    if fleet is not None and not fleet.is_this_machine:
        _check_devices(app, around)


def _check_devices(app: App, around: Surroundings) -> None:
    """A relative path is one of the operator's machine, which hosts do not have."""
    for key, volume in app.volumes.items():
        at = ("volumes", key, "driver_opts", "device")
        device = around.written(*at)
        if isinstance(device, str) and not device.startswith("/") and binds(volume.driver, volume.driver_opts):
            what = f"volumes.{key}: {device} is a path of this machine, and hosts do not have it"
            around.wrong(
                what, *at, todo="write a path that each host has, or remove driver_opts: engines keep the data"
            )


def check_mount_points(service: Service, around: Surroundings) -> None:
    """Two things at one place: an engine refuses the container. Of two volumes, or two tmpfs, the later is taken."""
    taken: dict[str, str] = {}
    for key, target in (
        *(("volumes", mount.target) for mount in service.mounts),
        *(("tmpfs", entry.partition(":")[0]) for entry in service.options.tmpfs),
        *(("secrets", grant.target) for grant in service.secrets),
        *(("configs", grant.target) for grant in service.configs),
    ):
        where = posixpath.normpath(target)
        if where in taken and not key == taken[where] == "tmpfs":
            other = taken[where]
            both = f"two of its {key} are" if other == key else f"one of its {other} and one of its {key} are"
            around.wrong(
                f"services.{service.name}: {both} at {where}", "services", service.name, key,
                todo="remove one, or give it another target",
            )  # fmt: skip
        taken.setdefault(where, key)
