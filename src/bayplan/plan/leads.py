"""Which gateways lead to which port of a service: the balancers to what it publishes, every host's to the rest too."""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.plan.replica import ingress_targets, targets
from bayplan.spec.model import Fleet, Service


def leads(fleet: Fleet, service: Service) -> Iterator[tuple[str, int]]:
    """(gateway's host, container port) of every pool that the service's replicas are to be in."""
    for host in fleet.hosts if service.address else fleet.balancer.hosts:
        yield from ((host, target) for target in led_at(fleet, service, host))


def led_at(fleet: Fleet, service: Service, host: str) -> tuple[int, ...]:
    """Container ports of the service to which that host's gateway leads."""
    if service.address:
        return targets(service)
    return ingress_targets(service) if host in fleet.balancer.hosts else ()
