"""Where the fleet's own registry is, and one of before that fleet.yaml has no more."""

from __future__ import annotations

from bayplan.facts import Facts, HostFacts, SystemContainer
from bayplan.spec.model import Fleet

RegistryEndpoint = tuple[int, str, int]  # loopback port on every host, the registry's address, its port there


def registry_endpoint(fleet: Fleet, facts: Facts) -> RegistryEndpoint | None:
    """Where gateways find the fleet's own registry; None when it has none.

    Its port is where it runs. Before it does: the first free one from the range's start plus its loopback port on.
    One of before is led to, and guarded, for as long as it may stand.
    """
    registry = fleet.registry
    if registry is None or registry.host is None:
        return _of_before(fleet, facts)
    host = facts.hosts.get(registry.host)
    address = fleet.hosts[registry.host].private_ip
    port = _registry_port(fleet, registry.port, host) if host and host.reachable else None
    return (registry.port, address, port or _told_by_gateways(facts, address) or _first_port(fleet, registry.port))


def registry_left(fleet: Fleet, facts: Facts) -> tuple[str, SystemContainer] | None:
    """The fleet's own registry and its host, where fleet.yaml has one outside of the fleet by now. One at the very
    address that fleet.yaml has is none of before.
    """
    if fleet.registry is None or fleet.registry.address is None:
        return None
    server = fleet.registry.address.partition("/")[0]
    left = ((name, c) for name, c in facts.registries if server not in [f"{b.address}:{b.port}" for b in c.ports])
    return next(left, None)


def apps_of(registry: SystemContainer, facts: Facts) -> tuple[str, ...]:
    """Those of which anything stands that is made of an image of the fleet's own registry."""
    prefixes = tuple(f"localhost:{b.target}/" for b in registry.ports)
    return tuple(sorted({r.app for r in facts.replicas() if r.image.startswith(prefixes) and not r.ended}))


def _of_before(fleet: Fleet, facts: Facts) -> RegistryEndpoint | None:
    """Or, where its host does not answer, as gateways have it."""
    if left := registry_left(fleet, facts):
        return next(((b.target, b.address, b.port) for b in left[1].ports), None)
    if not facts.ways_to_registry:
        return None
    silent = {fleet.hosts[name].private_ip for name, host in facts.hosts.items() if not host.reachable}
    return next((way for way in sorted(facts.ways_to_registry) if way[1] in silent), None)


def _registry_port(fleet: Fleet, loopback: int, host: HostFacts) -> int:
    there = host.system("registry")
    if there and there.ports and there.state != "restarting":
        return there.ports[0].port
    engine = host.engine
    taken = {port for _, port in engine.taken} | {b.port for r in engine.replicas for b in r.ports}
    first, last = fleet.ports
    # One that restarts again and again may have found its port held by something that is no container.
    start = there.ports[0].port + 1 if there and there.ports else _first_port(fleet, loopback)
    candidates = (first + (start - first + i) % (last - first + 1) for i in range(last - first + 1))
    return next((port for port in candidates if port not in taken), start)


def _first_port(fleet: Fleet, loopback: int) -> int:
    first, last = fleet.ports
    return first + loopback % (last - first + 1)


def _told_by_gateways(facts: Facts, address: str) -> int | None:
    """The registry's port as gateways have it while its host does not answer."""
    return next((port for _, at, port in sorted(facts.ways_to_registry) if at == address), None)
