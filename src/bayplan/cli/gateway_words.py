"""What a new configuration of a gateway changes, in the words of who wrote the Compose file."""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.plan.steps import Configure
from bayplan.routing import Listener, Route, Table

Front = tuple[str, int, str, str]  # address, port, service, which requests


def changes(old: Table, step: Configure) -> tuple[str, ...]:
    """A sentence for each thing that clients or replicas notice. Of pools and names that come or go nobody does."""
    new = step.table
    told = (*_listens(old, new), *_knows(old, new), *_registry(old, new))
    if told or (old.listeners == new.listeners and not _are_other(old, new)):
        return told
    return (f"gateway configured anew: {step.why}",)


def _are_other(old: Table, new: Table) -> bool:
    """Whether a pool that stays is another by now."""
    before = {pool.name: pool for pool in old.pools}
    return any(before.get(pool.name, pool) != pool for pool in new.pools)


def _listens(old: Table, new: Table) -> Iterator[str]:
    before, after = set(_fronts(old)), set(_fronts(new))
    for fronts, how in ((after - before, "leads to"), (before - after, "no longer leads to")):
        yield from (f"{port} {how} {services}" for port, services in _by_port(fronts))


def _knows(old: Table, new: Table) -> Iterator[str]:
    """Which services replicas of that host reach by name."""
    before, after = set(_inner(old)), set(_inner(new))
    for services, how in ((after - before, "gateway knows"), (before - after, "gateway no longer knows")):
        if services:
            yield f"{how} {', '.join(sorted({service for _, service in services}))}"


def _registry(old: Table, new: Table) -> Iterator[str]:
    if old.registry != new.registry:
        yield "gateway leads to the registry" if new.registry else "gateway leads to no registry any more"


def _fronts(table: Table) -> Iterator[Front]:
    services = _services(table)
    for front in (f for f in table.listeners if not f.is_inner):
        for route in front.routes:
            service = services[route.pool][1] if route.pool in services else route.pool
            yield from ((front.address, front.port, service, asked) for asked in _asked(front, route))


def _inner(table: Table) -> Iterator[tuple[str, str]]:
    services = _services(table)
    there = (route.pool for front in table.listeners if front.is_inner for route in front.routes)
    yield from (services[pool] for pool in there if pool in services)


def _services(table: Table) -> dict[str, tuple[str, str]]:
    """Apps and services by pool."""
    return {pool.name: (pool.app, pool.service) for pool in table.pools}


def _asked(front: Listener, route: Route) -> Iterator[str]:
    """`shop.example.com/cart`; "" where there is no choice."""
    path = "" if route.path == "/" or front.mode == "tcp" else route.path
    yield from (f"{host}{path}" for host in route.hosts or ("",))


def _by_port(fronts: set[Front]) -> Iterator[tuple[str, str]]:
    """`port 80` and `blog (blog.example.com), shop (shop.example.com)`."""
    found: dict[str, dict[str, list[str]]] = {}
    for address, port, service, asked in sorted(fronts):
        there = found.setdefault(f"{address}:{port}" if address else f"port {port}", {})
        there.setdefault(service, []).extend([asked] if asked else [])
    for at, services in found.items():
        yield at, ", ".join(f"{name} ({', '.join(asked)})" if asked else name for name, asked in services.items())
