"""Building an app's images and pushing them, with nothing started. What `image push` does."""

from __future__ import annotations

from bayplan.images import prepare
from bayplan.operate.bring import builder_of, image_events, ready_hosts
from bayplan.operate.events import OnEvent, Stage
from bayplan.operate.release import only
from bayplan.ports import FleetPorts
from bayplan.spec.model import App


async def publish(
    ports: FleetPorts, app: App, services: frozenset[str] | None, on: OnEvent, *, force_build: bool, pull: bool
) -> dict[str, str]:
    """The pin of each service's image. Raises UsageError for a service that the app does not have."""
    wanted = only(None, app, services)
    hosts = await ready_hosts(ports, on)
    on(Stage("images", "images"))
    pinned = await prepare(
        wanted,
        builder_of(ports, hosts.facts),
        ports.registry,
        image_events(on),
        force_build=force_build,
        pull=pull,
    )
    return {name: service.image for name, service in pinned.services.items()}
