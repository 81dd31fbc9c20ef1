"""Service addresses: each service of an app has one of its own, the same on every host."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network
from typing import Final

from bayplan.container import digest
from bayplan.facts import Facts
from bayplan.plan.other_apps import networks_of_others, shares
from bayplan.routing import INNER
from bayplan.spec.model import App, Service

BLOCK: Final = IPv4Network(f"{INNER}0.0/16")
_FIRST: Final = 256  # the first addresses of the block are for the fleet itself


def addressed_among(fleet: str, app: App, before: App | None, facts: Facts) -> App:
    """`addressed`, with what the fleet's other apps have."""
    return addressed(fleet, app, before, taken_by_others(facts, app.name), networks_of_others(facts, app.name))


def addressed(
    fleet: str, app: App, before: App | None, taken: Iterable[str], joined: Collection[str] = frozenset()
) -> App:
    """`app`, its services with their addresses: those of the release before, and free ones for services that are new.

    taken: addresses that other apps have: also one that was the app's own until it was taken down. joined: networks
    that other apps are on. Of one service alone nobody but those asks for its address; a job answers nobody.
    """
    had = {name: s.address for name, s in before.services.items() if s.address} if before else {}
    if len(app.services) < 2 and not had and not shares(app, joined):  # noqa: PLR2004  a service and another
        return app
    others = frozenset(taken)
    old = {name: address for name, address in had.items() if address not in others}
    used = {*others, *old.values()}
    services: dict[str, Service] = {}
    for name, service in app.services.items():
        if service.is_job:
            services[name] = service
            continue
        address = old.get(name) or next(a for a in _candidates(fleet, app.name, name) if a not in used)
        used.add(address)
        services[name] = service.model_copy(update={"address": address})
    return app.model_copy(update={"services": services})


def taken_by_others(facts: Facts, app: str) -> frozenset[str]:
    """Service addresses that gateways of the fleet have for other apps."""
    inner = (front for table in facts.tables() for front in table.listeners if front.is_inner)
    return frozenset(f.address for f in inner if not any(r.pool.startswith(f"{app}.") for r in f.routes))


def _candidates(fleet: str, app: str, service: str) -> Iterator[str]:
    """All of them, from one that follows from the names on."""
    size = BLOCK.num_addresses - _FIRST
    start = int(digest([fleet, app, service]), 16)
    return (str(BLOCK[_FIRST + (start + i) % size]) for i in range(size))
