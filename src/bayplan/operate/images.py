"""An app's images: where they are made, and what a release records of them."""

from __future__ import annotations

from collections.abc import Collection

from bayplan.facts import Facts
from bayplan.images import described
from bayplan.plan.addresses import addressed_among
from bayplan.ports import Engine, FleetPorts
from bayplan.spec.model import App


async def completed(
    ports: FleetPorts,
    pinned: App,
    before: App | None,
    builder: Engine,
    facts: Facts,
    *,
    unmade: Collection[str] = (),
) -> App:
    """The pinned app as a release records it: with what its images say of themselves, and its services' own addresses.

    unmade: services whose image is yet to be made; what it says of itself is not known.
    """
    made = pinned.model_copy(update={"services": {n: s for n, s in pinned.services.items() if n not in unmade}})
    known = await described(made, before, builder, ports.registry)
    listens = pinned.model_copy(update={"services": {**pinned.services, **known.services}})
    return addressed_among(ports.fleet.name, listens, before, facts)


def builder_of(ports: FleetPorts, facts: Facts) -> Engine:
    """Where images are built. The registry's own host if it answers, else the first that does."""
    answering = [h.name for h in facts.reachable()]
    own = ports.fleet.registry.host if ports.fleet.registry else None
    return ports.engines[own if own in answering and own else answering[0]]
