"""An app as its labels and the gateways tell it: for when the registry, and the releases in it, cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.facts import Facts
from bayplan.operate.release import Chosen
from bayplan.plan.replica import pool_name
from bayplan.spec.model import App, Mode, Port, Service


def inferred(facts: Facts, app: str) -> Chosen:
    """As many replicas as stand, of the newest release that any of them is of; 0 when none stands."""
    replicas = tuple(facts.replicas(app))
    names = sorted({r.service for r in replicas})
    services = {name: _service(facts, app, name) for name in names}
    return Chosen(
        max((r.release for r in replicas), default=0), App(name=app, services=services), is_new=False, before={}
    )


def _service(facts: Facts, app: str, name: str) -> Service:
    replicas = tuple(facts.replicas(app, name))
    targets = {b.target for r in replicas for b in r.ports}
    ports = tuple(
        dict.fromkeys(p for target in sorted(targets) for p in _ports(facts, pool_name(app, name, target), target))
    )
    mode: Mode = "replicated-job" if replicas[-1].job else "replicated"
    return Service(
        name=name, image=replicas[-1].image, replicas=len({r.slot for r in replicas}), ports=ports, mode=mode
    )


def _ports(facts: Facts, pool: str, target: int) -> Iterator[Port]:
    """The listeners that lead to the pool; not those of services' own addresses."""
    for host in facts.reachable():
        for front in host.gateway.table.listeners if host.gateway else ():
            if not front.is_inner and any(route.pool == pool for route in front.routes):
                yield Port(target=target, published=front.port, address=front.address, app_protocol=front.mode)
