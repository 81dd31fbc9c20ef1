"""The listeners that a release gives its services, a route each, and which requests two routes both take.

Which service has a request is a matter of routes, not of ports: two services may share a port and hand a host name or a
path from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bayplan.facts import Facts, GatewayFacts, ServerFacts
from bayplan.plan.goal import Goal
from bayplan.plan.replica import pool_name
from bayplan.routing import Listener, Route, Table
from bayplan.spec.model import Port, Service


def fronts_of(app: str, service: Service) -> tuple[Listener, ...]:
    """Its listeners."""
    return tuple(front_of(app, service, port) for port in service.ports if port.mode == "ingress")


def front_of(app: str, service: Service, port: Port) -> Listener:
    """The listener of one port."""
    return Listener(port.published, port.address, port.app_protocol, (_route(app, service, port),))


def _route(app: str, service: Service, port: Port) -> Route:
    pool = pool_name(app, service.name, port.target)
    if service.http is None or port.app_protocol != "http":
        return Route(pool)
    return Route(pool, tuple(sorted(service.http.hosts)), service.http.path)


def stands(wanted: Listener, table: Table) -> bool:
    """Whether a gateway leads there already."""
    [route] = wanted.routes
    return any(route in f.routes for f in table.listeners if (f.address, f.port) == (wanted.address, wanted.port))


def has_nobody(wanted: Listener, gateway: GatewayFacts) -> bool:
    """Whether nobody answers where it is to lead: its requests are better off where they go now."""
    [route] = wanted.routes
    return not any(s.has_passed for s in behind(route.pool, gateway))


def behind(pool: str, gateway: GatewayFacts) -> Iterator[ServerFacts]:
    """All that a pool leads to: also where a service is that is not run here."""
    yield from gateway.pools.get(pool, ())
    if pool in gateway.away:
        yield gateway.away[pool]


def as_before(wanted: Listener, table: Table) -> Iterator[tuple[Listener, Route]]:
    """Where requests of a listener go now: each route that takes any, and what of it takes them."""
    [asked] = wanted.routes
    for there in (f for f in table.listeners if (f.address, f.port) == (wanted.address, wanted.port)):
        whole = set[str]()  # hosts of which no less particular route has anything
        for now in sorted(there.routes, key=_rank):
            both = now if there.mode == "tcp" else _common(asked, now)
            hosts = set(both.hosts or ("",)) - whole if both else set()
            if both and hosts:
                yield replace(there, routes=(now,)), replace(both, hosts=tuple(sorted(hosts - {""})))
                whole |= hosts if both.path == asked.path else set()


def _rank(route: Route) -> tuple[bool, bool, int]:
    """The more particular first, as gateways have it (`haproxy/fronts.py`)."""
    return (not route.hosts, any(host.startswith("*.") for host in route.hosts), -len(route.path))


def _common(asked: Route, now: Route) -> Route | None:
    """A route to the pool of the second for the requests that both take."""
    paths = sorted((asked.path, now.path), key=lambda p: len(p.rstrip("/")))
    if not f"{paths[1].rstrip('/')}/".startswith(f"{paths[0].rstrip('/')}/"):
        return None
    if not asked.hosts or not now.hosts:
        return replace(now, hosts=asked.hosts or now.hosts, path=paths[1])
    both = {b for one in asked.hosts for other in now.hosts if (b := _common_host(one, other))}
    return replace(now, hosts=tuple(sorted(both)), path=paths[1]) if both else None


def _common_host(one: str, other: str) -> str | None:
    """The more particular of two names, one of which may be `*.example.com`."""
    for wide, narrow in ((one, other), (other, one)):
        if wide == narrow or (wide.startswith("*.") and narrow.endswith(wide[1:])):
            return narrow
    return None


def lends(goal: Goal, service: Service, facts: Facts) -> bool:
    """Whether any balancer leads to it where the release does not: until another service has somebody for that."""
    app = goal.app.name
    led = [facts.routes_of.get((name, f"{app}.{service.name}"), frozenset()) for name in goal.fleet.balancer.hosts]
    own = {(f.address, f.port, *f.routes) for f in fronts_of(app, service)} if any(led) else set()
    return any(there - own for there in led)
