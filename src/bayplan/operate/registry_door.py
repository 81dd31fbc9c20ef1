"""Whether engines can find the fleet's own registry on the loopback of each host: asked before anything is started.

Fleets that share hosts each have one, at the port that their fleet.yaml says. Found out by a gateway that is to open
it, all that bayplan itself runs would stand there for nothing; and what answers there is another fleet's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from bayplan.errors import BayplanError, PortTakenError
from bayplan.facts import Facts, HostFacts, Stranger
from bayplan.listening import TABLES
from bayplan.operate.doors import Door, doors, its_own, other_gateway, publisher
from bayplan.operate.strangers import told
from bayplan.ports import FleetPorts
from bayplan.spec.model import Fleet

_LOOPBACK = "127.0.0.1"
_LAST = 65535


@dataclass(frozen=True, slots=True)
class Held:
    """The registry's port, which something else has. by: who publishes it, or may well have it; None is not known.

    free: one that nobody has there.
    """

    port: int
    free: int
    registry: str
    by: Stranger | None

    @property
    def why(self) -> str:
        by = f" (by {told(self.by).removesuffix(',')})" if self.by else ""
        return f"port {self.port} of its loopback is taken{by}: engines are to find this fleet's registry there"

    @property
    def todo(self) -> str:
        return (
            f"have another port, in fleet.yaml: registry: {{host: {self.registry}, port: {self.free}}}; who has "
            f"{self.port}: sudo ss -ltnp 'sport = :{self.port}'"
        )


async def check(ports: FleetPorts, facts: Facts) -> None:
    """Raises PortTakenError."""
    for host, held in await held_on(ports, facts):
        raise PortTakenError(f"{held.why}; nothing was changed", where=host, todo=held.todo)


async def held_on(ports: FleetPorts, facts: Facts) -> list[tuple[str, Held]]:
    """By whom, on each host that answers."""
    asked = [host for host in facts.reachable() if _may_be_held(ports.fleet, host)]
    found = await asyncio.gather(*(listened(ports, host.name) for host in asked))
    everywhere = {door for seen in found for door in seen}
    told = ((h.name, held_by_another(ports.fleet, h, s, everywhere)) for h, s in zip(asked, found, strict=True))
    return [(name, held) for name, held in told if held]


def held_by_another(
    fleet: Fleet, host: HostFacts, seen: Iterable[Door], everywhere: Iterable[Door] = ()
) -> Held | None:
    """Of that host. seen: what is listened on there. everywhere: on all."""
    registry = fleet.registry
    if registry is None or registry.host is None or not _may_be_held(fleet, host):
        return None
    own = its_own(host.gateway) if host.gateway else set[Door]()
    seen = set(seen) - own
    if not _is_held(registry.port, seen):
        return None
    others = {*seen, *everywhere}
    return Held(
        registry.port,
        first_free(registry.port, others),
        registry.host,
        publisher(host, registry.port) or other_gateway(host),
    )


def first_free(port: int, seen: Iterable[Door]) -> int:
    """That one, or the next that has room for a registry. seen: what is listened on, on every host."""
    seen = tuple(seen)
    return next(one for one in range(port, _LAST) if not _is_held(one, seen))


def _is_held(port: int, seen: Iterable[Door]) -> bool:
    return any(door.is_in_the_way_of(Door(port, _LOOPBACK)) for door in seen)


def _may_be_held(fleet: Fleet, host: HostFacts) -> bool:
    """Whether it is worth a look: its gateway does not lead there yet, and somebody is there who may be in its way."""
    registry = fleet.registry
    if registry is None or registry.host is None:
        return False
    if host.system("gateway") is None:
        published = ("tcp", registry.port) in host.engine.taken
        return published or any(stranger.fleet for stranger in host.engine.strangers)
    return not leads_to_registry(host, registry.port)


def leads_to_registry(host: HostFacts, port: int) -> bool:
    """Whether its gateway does, from that port of the loopback; one that does not answer is told of otherwise."""
    led = host.gateway.table.registry if host.gateway else (port,)
    return led is not None and led[0] == port


async def listened(ports: FleetPorts, host: str) -> tuple[Door, ...]:
    """What anything there listens on, asked by our login: no gateway of ours may be there yet. Nothing if it cannot be
    told.
    """
    try:
        return doors(await ports.reaches[host].run(TABLES))
    except BayplanError:
        return ()
