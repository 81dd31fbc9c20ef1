"""What clients ask of a fleet: requests, which service of an app is to answer each, and who does at a balancer.

HAProxy's own order of routes (`haproxy/fronts.py`) is told again here in few words, as its readers have it: the most
particular host, then the longest path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from bayplan.routing import Route, Table
from bayplan.spec.model import App, Http, Port, Service

WEB, HOSTS, PATHS = 80, ("", "a.example", "b.example"), ("/", "/api")


@dataclass(frozen=True, order=True)
class Door:
    """What a service may be given: a port of its own (tcp), or, of the shared one, requests for a host and a path."""

    port: int
    host: str = ""
    path: str = "/"

    @property
    def is_shared(self) -> bool:
        return self.port == WEB


SHARED = tuple(Door(WEB, host, path) for host, path in product(HOSTS, PATHS))
OWN = (Door(81), Door(82))
REQUESTS = tuple(Door(WEB, host or "any.example", path) for host, path in product(HOSTS, PATHS)) + OWN


def doors_of(service: Service) -> Iterator[Door]:
    """Those that it has."""
    shared = service.http or Http()
    for port in service.ports:
        if port.app_protocol == "http":
            yield from (Door(port.published, host, shared.path) for host in shared.hosts or ("",))
        elif port.mode == "ingress":
            yield Door(port.published)


def with_doors(service: Service, doors: Iterable[Door], target: int) -> Service:
    """The service with these: of shared ones, those with the path of the first, and hosts or any host, but not both.
    Ports of the host itself stay.
    """
    wanted = sorted(set(doors))
    shared = [d for d in wanted if d.is_shared]
    path, named = (shared[0].path, bool(shared[0].host)) if shared else ("/", False)
    hosts = tuple(d.host for d in shared if d.path == path and d.host) if named else ()
    ports = tuple(Port(target=target, published=d.port) for d in wanted if not d.is_shared)
    web = (Port(target=target, published=WEB, app_protocol="http"),) if shared else ()
    http = Http(hosts=hosts, path=path) if shared else None
    own = tuple(p for p in service.ports if p.mode == "host")
    return service.model_copy(update={"ports": (*ports, *web, *own), "http": http})


def owner(app: App, request: Door) -> Service | None:
    """The service that is to answer it."""
    found = [
        (_rank(door.host, door.path), s.name)
        for s in app.services.values()
        for door in doors_of(s)
        if answers(door, request)
    ]
    return app.services[min(found)[1]] if found else None


def pool_for(table: Table, request: Door) -> str | None:
    """The pool to which a gateway leads it."""
    fronts = (f for f in table.listeners if not f.is_inner and f.port == request.port)
    found = [
        (_rank(d.host, d.path), r.pool)
        for f in fronts
        for r in f.routes
        for d in _doors(f.port, r)
        if answers(d, request)
    ]
    return min(found)[1] if found else None


def _doors(port: int, route: Route) -> Iterator[Door]:
    return (Door(port, host, route.path) for host in route.hosts or ("",))


def answers(door: Door, request: Door) -> bool:
    """Whether who has the door may be asked so."""
    asked = (request.path.rstrip("/") + "/").startswith(door.path.rstrip("/") + "/")
    return door.port == request.port and door.host in ("", request.host) and asked


def _rank(host: str, path: str) -> tuple[bool, int]:
    return (not host, -len(path))
