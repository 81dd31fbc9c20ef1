"""Mistakes of services and the volumes that they mount."""

from __future__ import annotations

from bayplan.spec.model import App
from bayplan.spec.pinned import writes_volume
from bayplan.spec.resolve import Surroundings


def check_volumes(app: App, around: Surroundings) -> None:
    """A volume has one writer of a service: two replicas of it would write over each other."""
    for service in app.services.values():
        volume = writes_volume(app, service)
        if volume and service.replicas > 1 and not service.mode.startswith("global"):
            at = ("deploy", "replicas") if around.has("services", service.name, "deploy", "replicas") else ("scale",)
            around.wrong(
                f"services.{service.name}: {service.replicas} replicas would write to the one volume {volume}",
                "services", service.name, *at,
                todo="write replicas: 1, mount it read_only, or give it driver_opts of what hosts share (type: nfs)",
            )  # fmt: skip
