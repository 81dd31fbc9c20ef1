"""Which gateways lead to which port of a service: the balancers to what it publishes, every host's to the rest too."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bayplan.plan.replica import ingress_targets, targets
from bayplan.spec.model import Fleet, Service


def leads(fleet: Fleet, service: Service) -> Iterator[tuple[str, int]]:
    """(gateway's host, container port) of every pool that the service's replicas are to be in."""
    hosts, ports = _where(fleet, service)
    return ((host, port) for host in hosts for port in ports)


def led_at(fleet: Fleet, service: Service, host: str) -> tuple[int, ...]:
    """Container ports of the service to which that host's gateway leads."""
    hosts, ports = _where(fleet, service)
    return ports if host in hosts else ()


def _where(fleet: Fleet, service: Service) -> tuple[Collection[str], tuple[int, ...]]:
    """The gateways' hosts, and the container ports to which each of them leads."""
    if service.address:
        return fleet.hosts, targets(service)
    return fleet.balancer.hosts, ingress_targets(service)
