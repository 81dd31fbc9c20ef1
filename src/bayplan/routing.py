"""What a gateway is configured with: listeners, their routes, pools, and what is beside them. Which endpoints are in a
pool is no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["tcp", "http"]

# Services' own addresses, 198.18.0.0/16: for benchmarking networks (RFC 2544), so that nobody routes it and no cloud
# gives it out. They are the same on every host, and on no wire.
INNER = "198.18."


@dataclass(frozen=True, slots=True)
class Server:
    """An endpoint in a pool. name: the replica's."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a gateway asks an endpoint, "tcp" or "http PATH", and whether it tells it by PROXY protocol who calls."""

    check: str = "tcp"
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """How a gateway treats the endpoints of one port of one service; which ones they are is not part of it.

    name: `app.service.target`. check: "tcp", or "http PATH". Seconds. fixed: of a service that is not run here, where
    it is, "db.example.com:3306". tls: the name in its certificate, "" without TLS; ca: who signed it, as PEM text, ""
    is one that the gateway's own system knows. former: servers of before, by name, which are spoken to as they were.
    cookie: the pool whose cookie its sticky clients have, "" is its own.
    """

    name: str
    app: str
    service: str
    mode: Mode = "tcp"
    check: str = "tcp"
    interval: float = 2.0
    timeout: float = 2.0
    sticky: bool = False
    proxy_protocol: bool = False
    fixed: str = ""
    tls: str = ""
    ca: str = ""
    former: tuple[tuple[str, Spoken], ...] = ()
    cookie: str = ""

    @property
    def spoken(self) -> Spoken:
        """To all but those of before."""
        return Spoken(self.check, self.proxy_protocol)

    def spoken_to(self, server: str) -> Spoken:
        """To that one."""
        return dict(self.former).get(server, self.spoken)


@dataclass(frozen=True, slots=True)
class Route:
    """Requests for these host names (none: any) under this path prefix go to this pool. TCP: hosts (), path "/"."""

    pool: str
    hosts: tuple[str, ...] = ()
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Listener:
    """A front port. address "": all of the balancer host's; a service's own address: for the replicas on that host."""

    port: int
    address: str = ""
    mode: Mode = "tcp"
    routes: tuple[Route, ...] = ()

    @property
    def is_inner(self) -> bool:
        """Whether it is at a service's own address."""
        return self.address.startswith(INNER)


@dataclass(frozen=True, slots=True)
class Names:
    """What the replicas of one service on a host know by name. text: of their /etc/hosts, as far as the app tells it.

    networks: (a network's own name, what the service is called there) of each that it is on: where services of another
    app are on it too, they know each other. address: the service's own, or "".
    """

    app: str
    service: str
    text: str
    networks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What a gateway is configured with, but for the endpoints: listeners, pools, names, and the way to the registry.

    registry: (loopback port, address, port) of the fleet's registry, or None.
    """

    listeners: tuple[Listener, ...] = ()
    pools: tuple[Pool, ...] = ()
    registry: tuple[int, str, int] | None = None
    names: tuple[Names, ...] = ()

    @property
    def routed(self) -> frozenset[str]:
        """The pools that any listener leads to."""
        return frozenset(route.pool for front in self.listeners for route in front.routes)
