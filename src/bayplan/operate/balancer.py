"""What the gateways run with: listeners, routes, pools and each endpoint's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bayplan.converge.observe import answered, observe
from bayplan.facts import GatewayFacts, HostFacts, ServerFacts, ServerState, takes_traffic
from bayplan.ports import FleetPorts
from bayplan.routing import Listener, Pool

GatewayState = Literal["running", "silent", "absent", "unreachable"]


@dataclass(frozen=True, slots=True)
class RouteView:
    """Requests for these host names (none: any) under this path go to that pool."""

    hosts: tuple[str, ...]
    path: str
    pool: str
    app: str
    service: str


@dataclass(frozen=True, slots=True)
class ListenerView:
    """A front port. address "": all of the host's."""

    address: str
    port: int
    mode: str
    routes: tuple[RouteView, ...]


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A replica in a pool. up: whether its last check passed, None if it was not checked yet. since: seconds."""

    name: str
    endpoint: str
    state: ServerState
    up: bool | None
    check: str
    sessions: int
    since: float

    @property
    def takes_traffic(self) -> bool:
        """Whether the gateway leads to it."""
        return takes_traffic(self.state, up=self.up)


@dataclass(frozen=True, slots=True)
class PoolView:
    """The endpoints of one port of one service."""

    name: str
    app: str
    service: str
    mode: str
    check: str
    sticky: bool
    endpoints: tuple[EndpointView, ...]


@dataclass(frozen=True, slots=True)
class GatewayView:
    """One host's gateway. balancer: whether clients' listeners are on it. in_step: the file says what runs.

    state: silent is one that runs and does not answer. why: what is wrong, "" if nothing is.
    """

    host: str
    address: str
    balancer: bool
    state: GatewayState
    why: str
    in_step: bool
    listeners: tuple[ListenerView, ...] = ()
    pools: tuple[PoolView, ...] = ()


@dataclass(frozen=True, slots=True)
class BalancerView:
    """`balancer show --json` is this. address: what clients dial."""

    fleet: str
    address: str
    hosts: tuple[GatewayView, ...]


async def show(ports: FleetPorts) -> BalancerView:
    """Every gateway of the fleet, hosts in fleet.yaml's order. Raises NoHostError."""
    facts = answered(ports.fleet, await observe(ports, images=False))
    views = tuple(_view(ports, host) for host in facts.hosts.values())
    return BalancerView(ports.fleet.name, ports.fleet.balancer.address, views)


def _view(ports: FleetPorts, host: HostFacts) -> GatewayView:
    at, has = ports.fleet.hosts[host.name].private_ip, host.name in ports.fleet.balancer.hosts
    if host.gateway is None:
        state, why = _missing(host)
        return GatewayView(host.name, at, has, state, why, in_step=False)
    table = host.gateway.table
    apps = {p.name: (p.app, p.service) for p in table.pools}
    listeners = tuple(_listener(front, apps) for front in table.listeners)
    pools = tuple(_pool(p, host.gateway) for p in table.pools)
    why = "" if host.gateway.in_step else "the file that a restart reads says something else; bayplan up writes it"
    return GatewayView(host.name, at, has, "running", why, host.gateway.in_step, listeners, pools)


def _missing(host: HostFacts) -> tuple[GatewayState, str]:
    if not host.reachable:
        return "unreachable", host.why
    container = host.system("gateway")
    if container is None:
        return "absent", "there is no gateway: bayplan up starts it"
    if container.state == "running":
        return "silent", "its gateway runs and does not answer"
    return "absent", f"its gateway is {container.state}: bayplan up starts it"


def _listener(front: Listener, apps: dict[str, tuple[str, str]]) -> ListenerView:
    routes = tuple(RouteView(r.hosts, r.path, r.pool, *apps.get(r.pool, ("", ""))) for r in front.routes)
    return ListenerView(front.address, front.port, front.mode, routes)


def _pool(pool: Pool, gateway: GatewayFacts) -> PoolView:
    there = sorted(gateway.pools.get(pool.name, ()), key=lambda s: s.server.name)
    servers = tuple(_endpoint(s) for s in there)
    return PoolView(pool.name, pool.app, pool.service, pool.mode, pool.check, pool.sticky, servers)


def _endpoint(s: ServerFacts) -> EndpointView:
    at = f"{s.server.address}:{s.server.port}"
    return EndpointView(s.server.name, at, s.state, s.up, s.check, s.sessions, s.since)
