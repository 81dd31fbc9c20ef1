"""Whether new listeners can have their ports: asked of the balancers' hosts before anything of the app is changed.

A listener is opened last, when replicas stand behind it; found out then, it would leave them standing for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bayplan.errors import BayplanError, PortTakenError
from bayplan.facts import Facts, GatewayFacts, HostFacts, Stranger
from bayplan.listening import TABLES, listening
from bayplan.operate.strangers import how_to_stop, told
from bayplan.plan.goal import Goal
from bayplan.plan.names import system_name
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
    """A port of a service's new listener that something on the host has. by: the container, where it is one."""

    host: str
    service: str
    port: int
    by: Stranger | None = None
    beside: Stranger | None = None  # another fleet's gateway on that host, which may have it

    @property
    def why(self) -> str:
        who = told(self.by) if self.by else "something that is not this fleet's"
        return f"{who} has port {self.port}, which a listener of the app is to have"

    @property
    def todo(self) -> str:
        if self.by:
            return f"{how_to_stop(self.by)}; or publish another port"
        look = f"see what it is, on {self.host}: sudo ss -ltnp 'sport = :{self.port}'; stop it, or publish another port"
        return f"{look}\n  if {told(self.beside)} has it: {how_to_stop(self.beside)}" if self.beside else look


async def check(ports: FleetPorts, app: App, facts: Facts) -> None:
    """Raises PortTakenError for a port that another app has, or that something other than the gateway listens on."""
    for theirs in _of_other_apps(ports.fleet, app, facts):
        raise PortTakenError(
            f"{theirs.why}; nothing was changed",
            where=theirs.host,
            todo=f"publish another port for {theirs.service}, tell the two apart by host name or path "
            "(x-bayplan: http), or take that app down",
        )
    for taken in await by_strangers(ports, app, facts):
        raise PortTakenError(
            f"{taken.why}; nothing was changed",
            where=taken.host,
            todo=taken.todo,
        )


async def by_strangers(ports: FleetPorts, app: App, facts: Facts) -> list[Taken]:
    """Ports of new listeners that something other than the gateway listens on, on a host of the balancer."""
    hosts = [facts.hosts[name] for name in ports.fleet.balancer.hosts if name in facts.hosts]
    asked = [host for host in hosts if host.reachable and _new(app, host.gateway or GatewayFacts())]
    found = await asyncio.gather(*(_listened(ports.engines[host.name], ports.fleet.name) for host in asked))
    return [taken for host, seen in zip(asked, found, strict=True) for taken in in_the_way(app, host, seen)]


def in_the_way(app: App, host: HostFacts, seen: Iterable[Door]) -> Iterator[Taken]:
    """Ports of the app's new listeners on that host that something other than its gateway has. seen: what is listened
    on there.
    """
    gateway = host.gateway or GatewayFacts()
    strangers = {*seen, *_published(host)} - _its_own(gateway)
    for door, service in _new(app, gateway).items():
        if any(one.is_in_the_way_of(door) for one in strangers):
            by = next((s for s in host.engine.strangers if ("tcp", door.port) in s.ports), None)
            beside = next((s for s in host.engine.strangers if s.name == system_name("gateway", s.fleet)), None)
            yield Taken(host.name, service, door.port, by, beside)


def _of_other_apps(fleet: Fleet, app: App, facts: Facts) -> Iterator[Failure]:
    goal = Goal(fleet, app, 0, {})
    for host in facts.reachable():
        if host.gateway:
            yield from held_by_others(goal, host, host.gateway)


def _its_own(gateway: GatewayFacts) -> set[Door]:
    """What the gateway listens on: services' own addresses and the registry's on the loopback too. It opens the same
    port for a listener beside those.
    """
    registry = {Door(gateway.table.registry[0], "127.0.0.1")} if gateway.table.registry else set()
    return {Door(front.port, front.address) for front in gateway.table.listeners} | registry


def _new(app: App, gateway: GatewayFacts) -> dict[Door, str]:
    """Listeners of the app that the gateway does not have yet, and whose each is."""
    has = _its_own(gateway)
    ingress = ((p, s.name) for s in app.services.values() for p in s.ports if p.mode == "ingress")
    doors = {Door(p.published, p.address): name for p, name in ingress}
    return {door: doors[door] for door in sorted(doors) if door not in has}


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
