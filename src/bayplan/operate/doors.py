"""Whether new listeners can have their ports: asked of the balancers' hosts before anything of the app is changed.

A listener is opened last, when replicas stand behind it; found out then, it would leave them standing for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from bayplan.errors import BayplanError, PortTakenError
from bayplan.facts import Facts, GatewayFacts, HostFacts
from bayplan.listening import TABLES, listening
from bayplan.plan.names import system_name
from bayplan.ports import Engine, FleetPorts
from bayplan.spec.model import App


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """A TCP port. address "": every address of the host."""

    port: int
    address: str = ""

    def is_in_the_way_of(self, other: Door) -> bool:
        """Whether both cannot be listened on."""
        return self.port == other.port and ("" in (self.address, other.address) or self.address == other.address)


async def check(ports: FleetPorts, app: App, facts: Facts) -> None:
    """Raises PortTakenError for a port that something other than the fleet's gateway listens on."""
    hosts = [facts.hosts[name] for name in ports.fleet.balancer.hosts if name in facts.hosts]
    asked = [(h, doors) for h in hosts if h.gateway and (doors := _new(app, h.gateway))]
    found = await asyncio.gather(*(_listened(ports.engines[h.name], ports.fleet.name) for h, _ in asked))
    for (host, doors), held in zip(asked, found, strict=True):
        taken = [d for d in doors if any(h.is_in_the_way_of(d) for h in (*held, *_published(host)))]
        if taken:
            raise _is_taken(host.name, taken[0].port)


def _is_taken(host: str, port: int) -> PortTakenError:
    return PortTakenError(
        f"something that is not bayplan's has port {port}, which a listener of the app is to have; nothing was changed",
        where=host,
        todo=f"see what it is, on {host}: ss -ltnp 'sport = :{port}'; stop it, or publish another port",
    )


def _new(app: App, gateway: GatewayFacts) -> list[Door]:
    """Listeners of the app that the gateway does not have yet."""
    has = {Door(front.port, front.address) for front in gateway.table.listeners}
    ingress = (p for s in app.services.values() for p in s.ports if p.mode == "ingress")
    return sorted({Door(p.published, p.address) for p in ingress} - has)


def _published(host: HostFacts) -> Iterator[Door]:
    """What strangers' containers publish: an engine without its proxy forwards it, and nothing listens."""
    return (Door(port) for protocol, port in host.engine.taken if protocol == "tcp")


async def _listened(engine: Engine, fleet: str) -> tuple[Door, ...]:
    """What anything on the host listens on; nothing if that cannot be told."""
    try:
        told = await engine.exec(system_name("gateway", fleet), TABLES)  # its gateway is in the host's network
    except BayplanError:
        return ()
    return tuple(Door(port, address) for address, port in listening(told.output.decode(errors="replace").splitlines()))
