"""Volumes that their host has no more: a service would begin on an empty one under the same name, without a word."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bayplan.errors import BayplanError
from bayplan.facts import Facts
from bayplan.plan.replica import server_name, service_of, slot_and_host
from bayplan.spec.model import App, Service
from bayplan.spec.pinned import written_volumes


@dataclass(frozen=True, slots=True)
class Lost:
    """A volume that no host has, and the host where gateways still lead to its service: one that answers, and has
    neither any more. It was installed anew, or somebody removed both.
    """

    host: str
    service: str
    volume: str

    @property
    def why(self) -> str:
        return f"{self.service} lived here on the volume {self.volume}; both are gone, and no other host has it"

    @property
    def todo(self) -> str:
        return (
            f"from a backup: bayplan volume restore {self.volume} FILE --host {self.host}; without one, say that it is "
            f"to begin on an empty one: docker volume create {self.volume} on {self.host}; then bayplan up"
        )


def check(app: App, before: App | None, facts: Facts) -> None:
    """Raises BayplanError. before: as the newest release has the app; None is not known."""
    for lost in volumes(app, before, facts):
        raise BayplanError(f"{lost.why}; nothing was changed", where=lost.host, todo=lost.todo)


def volumes(app: App, before: App | None, facts: Facts) -> Iterator[Lost]:
    """Those of the app that were lost with who lived on them."""
    for service, absent in _absent(app, before, facts):
        if host := _where_led_to(app.name, service, facts):
            yield from (Lost(host, service.name, name) for name in sorted(absent))


def notes(app: App, before: App | None, facts: Facts, only: Collection[str] | None = None) -> Iterator[str]:
    """A sentence for each that was released before and that no host has. It may never have been made: the first `up`
    came to nothing. None while a host does not answer: then no empty one is begun. only: services that are brought up.
    """
    if before is None or not all(h.reachable for h in facts.hosts.values()):
        return
    for service, absent in _absent(app, before, facts):
        for name in sorted(absent) if service.replicas and (only is None or service.name in only) else ():
            yield (
                f"no host has the volume {name}: {service.name} begins on an empty one. If it was lost: bayplan stop "
                f"{service.name}, and bayplan volume restore {name} FILE"
            )


def _absent(app: App, before: App | None, facts: Facts) -> Iterator[tuple[Service, frozenset[str]]]:
    """Services that lived on volumes of one host, and those of these that no host has."""
    there = {name for host in facts.reachable() for name in host.engine.volumes}
    there |= {name for replica in facts.replicas() for name in replica.volumes}
    there |= {volume.name for volume in app.volumes.values() if volume.external}
    known = before or app
    for service in app.services.values():
        was = known.services.get(service.name)
        if was is None or service.is_global:
            continue
        if absent := (written_volumes(app, service) & written_volumes(known, was)) - there:
            yield service, absent


def _where_led_to(app: str, service: Service, facts: Facts) -> str | None:
    """A host that answers and has none of the service where gateways still lead to one."""
    standing = {server_name(r.name, r.host) for r in facts.replicas(app, service.name)}
    for server, led in sorted(facts.endpoints.items()):
        told = slot_and_host(server)
        host = facts.hosts.get(told[1]) if told else None
        of_service = any(e.pool.startswith(f"{app}.") and service_of(e.pool, app) == service.name for e in led)
        if host and host.reachable and of_service and server not in standing:
            return host.name
    return None
