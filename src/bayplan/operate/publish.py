"""Building an app's images and pushing them, with nothing started. What `image push` does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from bayplan.converge.sight import Sight
from bayplan.operate.alone import alone
from bayplan.operate.bring import ready_hosts
from bayplan.operate.events import OnEvent, Stage
from bayplan.operate.images import builder_of
from bayplan.operate.prepare import prepared
from bayplan.operate.release import only
from bayplan.ports import FleetPorts
from bayplan.spec.model import App


async def publish(
    ports: FleetPorts,
    app: App,
    services: frozenset[str] | None,
    on: OnEvent,
    *,
    force_build: bool,
    pull: bool,
    secrets: Mapping[str, bytes],
    patience: float = 0.0,
) -> dict[str, str]:
    """The pin of each service's image. Raises UsageError for a service that the app does not have."""
    wanted = only(None, app, services)

    async def work(sight: Sight) -> App:
        hosts = await ready_hosts(ports, on, sight)
        on(Stage("images", "images"))
        builder, mend = builder_of(ports, hosts.facts), partial(ready_hosts, ports, on, sight)
        return await prepared(ports, wanted, builder, on, mend, force_build=force_build, pull=pull, secrets=secrets)

    on(Stage("hosts", "hosts"))
    pinned = await alone(ports, f"image push {app.name}", work, on, patience=patience)
    return {name: service.image for name, service in pinned.services.items()}
