"""Whether each host has the address that fleet.yaml gives it: asked before anything is built or started.

Replicas' ports, and the fleet's registry, are bound to it: of one with a slip in it the engine tells at the first
replica's start, when everything else stands there for nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from bayplan import labels
from bayplan.errors import BayplanError, UsageError
from bayplan.facts import Facts, HostFacts
from bayplan.plan.own_registry import RegistryEndpoint, registry_endpoint
from bayplan.plan.system import guard_container
from bayplan.ports import FleetPorts
from bayplan.spec.model import Fleet, Host

ROUTES = ("cat", "/proc/net/fib_trie")  # the command that prints them; any login may
_LOCAL = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)\s*\n\s*/32 host LOCAL")


@dataclass(frozen=True, slots=True)
class NotItsOwn:
    """A host's `private_ip` that the host does not have. has: those that it has, most likely ones first."""

    host: str
    address: str
    has: tuple[str, ...]

    @property
    def why(self) -> str:
        return f"{self.address} is not an address of the host"

    @property
    def todo(self) -> str:
        return f"correct private_ip in fleet.yaml; the host has {', '.join(self.has)}"


async def check(ports: FleetPorts, facts: Facts, left: str = "nothing was changed") -> None:
    """Raises UsageError that tells of every host. left: how it leaves things."""
    if wrong := await foreign(ports, facts):
        first, *others = wrong
        todo = "\n  ".join((first.todo, *(f"{one.host}: {one.why}; {one.todo}" for one in others)))
        raise UsageError(f"private_ip: {first.why}; {left}", where=first.host, todo=todo)


async def foreign(ports: FleetPorts, facts: Facts) -> list[NotItsOwn]:
    """Those of hosts that answer."""
    endpoint = registry_endpoint(ports.fleet, facts)
    asked = [ports.fleet.hosts[h.name] for h in facts.reachable() if not _is_known(ports.fleet, h, endpoint)]
    found = await asyncio.gather(*(_addresses_of(ports, host.name) for host in asked))
    told = (not_its_own(h, has, ports.fleet.private_net) for h, has in zip(asked, found, strict=True) if has)
    return [one for one in told if one]


def not_its_own(host: Host, has: Collection[str], private_net: IPv4Network) -> NotItsOwn | None:
    """has: the host's addresses, as its kernel has them."""
    if host.private_ip in has or IPv4Address(host.private_ip).is_loopback:
        return None
    others = sorted((IPv4Address(a) for a in has), key=lambda a: (a not in private_net, a))
    return NotItsOwn(host.name, host.private_ip, tuple(str(a) for a in others if not a.is_loopback))


def addresses(routes: str) -> frozenset[str]:
    """Of IPv4, from a kernel's routes."""
    return frozenset(_LOCAL.findall(routes))


def _is_known(fleet: Fleet, host: HostFacts, endpoint: RegistryEndpoint | None) -> bool:
    """Whether its guard was made for that address, before which it was asked. Over TLS nobody could be asked before
    the guard was there: what shows is a replica that its engine has bound to it.
    """
    there = fleet.hosts[host.name]
    if IPv4Address(there.private_ip).is_loopback:
        return True
    if there.tls and not any(b.address == there.private_ip for r in host.engine.replicas if r.alive for b in r.ports):
        return False
    guard = host.system("guard")
    return guard is not None and guard.spec == guard_container(fleet, there, endpoint).labels[labels.SPEC]


async def _addresses_of(ports: FleetPorts, host: str) -> frozenset[str]:
    """Asked by our login. None if it cannot be told."""
    try:
        return addresses(await ports.reaches[host].run(ROUTES))
    except BayplanError:
        return frozenset()
