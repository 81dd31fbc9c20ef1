"""Whether new listeners and services' own addresses can have their ports: asked before anything of the app is changed.

A listener is opened last, when replicas stand behind it; found out then, it would leave them standing for nobody. A
service's own address is opened on every host: what listens on all addresses of one is in its way there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bayplan.errors import BayplanError, PortTakenError
from bayplan.facts import Facts, GatewayFacts, HostFacts, Replica, Stranger
from bayplan.haproxy.fronts import INNER_PORTS, bound
from bayplan.listening import TABLES, listening
from bayplan.operate.strangers import how_to_stop, told
from bayplan.plan.goal import Goal
from bayplan.plan.names import system_name
from bayplan.plan.replica import asked_targets, targets
from bayplan.plan.routes import held_by_others
from bayplan.plan.steps import Failure
from bayplan.ports import Engine, FleetPorts
from bayplan.spec.model import App, Fleet


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """A TCP port. address "": every address of the host."""

    port: int
    address: str = ""

    def is_in_the_way_of(self, other: Door) -> bool:
        """Whether both cannot be listened on."""
        return self.port == other.port and ("" in (self.address, other.address) or self.address == other.address)


@dataclass(frozen=True, slots=True)
class Taken:
    """A port of a service's new listener that something on the host has. by: the container, where it is one; ours: the
    fleet's own, which publishes it on the host itself.

    inner: it is a port of the service's own address.
    """

    host: str
    service: str
    port: int
    inner: bool = False
    by: Stranger | None = None
    beside: Stranger | None = None  # another fleet's gateway on that host, which may have it
    ours: Replica | None = None

    @property
    def why(self) -> str:
        what = "which a listener of the app is to have"
        return f"{self.who} has port {self.port}, {f'on which others reach {self.service}' if self.inner else what}"

    @property
    def who(self) -> str:
        if self.ours:
            return f"{self.ours.name} of the app {self.ours.app}"
        return told(self.by) if self.by else "something that is not this fleet's"

    @property
    def todo(self) -> str:
        other = f"have {self.service} listen on another port" if self.inner else "publish another port"
        if self.ours:
            return f"{other}; or first stop what has it: bayplan stop -p {self.ours.app} {self.ours.service}"
        if self.by:
            return f"{how_to_stop(self.by)}; or {other}"
        look = f"see what it is, on {self.host}: sudo ss -ltnp 'sport = :{self.port}'; stop it, or {other}"
        return f"{look}\n  if {told(self.beside)} has it: {how_to_stop(self.beside)}" if self.beside else look


@dataclass
class Listened:
    """What is listened on, on hosts as they are asked for: each is asked once, which takes it a process."""

    ports: FleetPorts
    seen: dict[str, tuple[Door, ...]] = field(default_factory=dict)

    async def on(self, hosts: Sequence[HostFacts]) -> list[tuple[Door, ...]]:
        """On each of them."""
        new = [host.name for host in hosts if host.name not in self.seen]
        found = await asyncio.gather(*(_listened(self.ports.engines[name], self.ports.fleet.name) for name in new))
        self.seen |= dict(zip(new, found, strict=True))
        return [self.seen[host.name] for host in hosts]


async def check(listened: Listened, app: App, facts: Facts) -> None:
    """Raises PortTakenError for a port that another app has, or that something other than the gateway listens on."""
    for theirs in _of_other_apps(listened.ports.fleet, app, facts):
        raise PortTakenError(
            f"{theirs.why}; nothing of the app was changed",
            where=theirs.host,
            todo=f"publish another port for {theirs.service}, tell the two apart by host name or path "
            "(x-bayplan: http), or take that app down",
        )
    for taken in await by_strangers(listened, app, facts):
        raise PortTakenError(
            f"{taken.why}; nothing of the app was changed",
            where=taken.host,
            todo=taken.todo,
        )


async def without_taken(listened: Listened, app: App, facts: Facts, say: Callable[[str], None]) -> App:
    """`app` without the ports that only its images name, and that something has on a host: nobody can change an image's
    EXPOSE, and it may well be silent there. say: told of each.
    """
    taken = {t.port: t for t in await by_strangers(listened, app, facts) if t.inner}
    left_out = {name: {*s.listens} & taken.keys() - asked_targets(s) for name, s in app.services.items()}
    services = dict(app.services)
    for name, gone in left_out.items():
        listens = tuple(port for port in services[name].listens if port not in gone)
        services[name] = services[name].model_copy(update={"listens": listens})
        for port in sorted(gone):
            say(
                f"{taken[port].host}: {taken[port].who} has port {port}, which the image of {name} names: other "
                f"services do not reach {name} on it"
            )
    return app.model_copy(update={"services": services}) if any(left_out.values()) else app


async def by_strangers(listened: Listened, app: App, facts: Facts) -> list[Taken]:
    """Ports of new listeners, and of services' own addresses, that something other than the gateway listens on."""
    balancers = listened.ports.fleet.balancer.hosts
    asked = [host for host in facts.reachable() if _opens(app, host, balancers)]
    found = await listened.on(asked)
    return [taken for host, seen in zip(asked, found, strict=True) for taken in in_the_way(app, host, seen, balancers)]


def _opens(app: App, host: HostFacts, balancers: Collection[str]) -> bool:
    gateway = host.gateway or GatewayFacts()
    return bool(_new_inner(app, gateway) or (host.name in balancers and _new(app, gateway)))


def in_the_way(app: App, host: HostFacts, seen: Iterable[Door], balancers: Collection[str]) -> Iterator[Taken]:
    """Ports of the app's new listeners on that host, and of its services' own addresses, that something other than its
    gateway has. seen: what is listened on there.
    """
    gateway = host.gateway or GatewayFacts()
    strangers = {*seen, *_published(host)} - its_own(gateway)
    listeners = set[int]()
    for door, service in _new(app, gateway).items() if host.name in balancers else ():
        if any(one.is_in_the_way_of(door) for one in strangers):
            listeners.add(door.port)
            yield _taken(host, service, door.port)
    everywhere = {one.port for one in seen if not one.address} - {b.port for r in host.engine.replicas for b in r.ports}
    for port, service in _new_inner(app, gateway).items():
        if port in everywhere - listeners:
            yield _taken(host, service, port, inner=True)


def _taken(host: HostFacts, service: str, port: int, *, inner: bool = False) -> Taken:
    ours = next((r for r in host.engine.replicas if ("tcp", port) in r.held_ports), None)
    return Taken(host.name, service, port, inner, publisher(host, port), other_gateway(host), ours)


def publisher(host: HostFacts, port: int) -> Stranger | None:
    """Whose container publishes it there, other than the fleet's."""
    return next((s for s in host.engine.strangers if ("tcp", port) in s.ports), None)


def other_gateway(host: HostFacts) -> Stranger | None:
    """Another fleet's on that host, which listens where no engine tells."""
    return next((s for s in host.engine.strangers if s.name == system_name("gateway", s.fleet)), None)


def _of_other_apps(fleet: Fleet, app: App, facts: Facts) -> Iterator[Failure]:
    goal = Goal(fleet, app, 0, {})
    for host in facts.reachable():
        if host.gateway:
            yield from held_by_others(goal, host, host.gateway)


def its_own(gateway: GatewayFacts) -> set[Door]:
    """What the gateway listens on: services' own addresses and the registry's on the loopback too. It opens the same
    port for a listener beside those.
    """
    registry = {Door(gateway.table.registry[0], "127.0.0.1")} if gateway.table.registry else set()
    return {Door(bound(front), front.address) for front in gateway.table.listeners} | registry


def _new(app: App, gateway: GatewayFacts) -> dict[Door, str]:
    """Listeners of the app that the gateway does not have yet, and whose each is."""
    has = its_own(gateway)
    ingress = ((p, s.name) for s in app.services.values() for p in s.ports if p.mode == "ingress")
    doors = {Door(p.published, p.address): name for p, name in ingress}
    return {door: doors[door] for door in sorted(doors) if door not in has}


def _new_inner(app: App, gateway: GatewayFacts) -> dict[int, str]:
    """Ports of services' own addresses of which the gateway has none yet, at any address, and whose each is. Of one
    service alone nobody asks for its address.
    """
    if len(app.services) < 2 and not any(s.address for s in app.services.values()):  # noqa: PLR2004  one and another
        return {}
    has = {door.port for door in its_own(gateway)}
    named = ((t, s.name) for s in app.services.values() if not s.is_job for t in targets(s))
    return {port: name for target, name in sorted(named) if (port := INNER_PORTS.get(target, target)) not in has}


def _published(host: HostFacts) -> Iterator[Door]:
    """What strangers' containers publish: an engine without its proxy forwards it, and nothing listens."""
    return (Door(port) for protocol, port in host.engine.taken if protocol == "tcp")


async def _listened(engine: Engine, fleet: str) -> tuple[Door, ...]:
    """What anything on the host listens on; nothing if that cannot be told."""
    try:
        said = await engine.exec(system_name("gateway", fleet), TABLES)  # its gateway is in the host's network
    except BayplanError:
        return ()
    return doors(said.output.decode(errors="replace"))


def doors(tables: str) -> tuple[Door, ...]:
    """What is listened on, from a kernel's tables."""
    return tuple(Door(port, address) for address, port in listening(tables.splitlines()))
