"""/etc/hosts of an app's replicas: the services that they share a network with, by every name that they have there.

It is one file a service on each host, and changes under the replicas that have it: a service that is added, or moves,
makes nobody start again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from bayplan.plan.goal import Goal
from bayplan.plan.other_apps import Claimed, networks_of
from bayplan.routing import INNER, Names
from bayplan.spec.model import App, Host, Service

HOST_GATEWAY = "host-gateway"  # as Docker has it in extra_hosts: the host itself
# Where a host is this machine its address is the loopback's, which in a replica is the replica. All of the block of
# services' addresses leads to the host itself; of the first ones no service has any.
_THIS_MACHINE: Final = f"{INNER}0.1"
_ITSELF = ("127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback")


def names(
    goal: Goal, host: Host, claimed: Claimed, known: Mapping[str, tuple[str, ...]] | None = None
) -> Iterator[Names]:
    """For every service of the app, on that host. claimed: names that other apps have. known: `others`, if the caller
    has it.
    """
    known = known or others(goal.app)
    for service in goal.app.services.values():
        lines = (*_ITSELF, *_whole_name(service), *known[service.name], *_extra(service, host))
        networks = tuple(networks_of(goal.app, service, claimed))
        yield Names(goal.app.name, service.name, "\n".join((*lines, "")), networks, service.address)


def others(app: App) -> Mapping[str, tuple[str, ...]]:
    """For each service, the lines that are the same on every host: those of the services that it reaches."""
    addressed = [other for other in app.services.values() if other.address]
    return {service.name: tuple(_lines(addressed, service)) for service in app.services.values()}


def _lines(addressed: Iterable[Service], service: Service) -> Iterator[str]:
    for other in addressed:
        if known := tuple(dict.fromkeys(names_of(other, service))):
            yield f"{other.address} {' '.join(known)}"


def names_of(other: Service, service: Service) -> Iterator[str]:
    """What `service` may call `other`: its name and its aliases on the networks that they share, and links."""
    shared = [aliases for network, aliases in other.networks.items() if network in service.networks]
    if shared:
        yield other.name
        for aliases in shared:
            yield from aliases
        yield from (link.alias for link in service.links if link.service == other.name)


def _whole_name(service: Service) -> Iterator[str]:
    """`hostname` and `domainname` as one name, for `hostname -f`. As Debian has it: the file is all replicas' alike."""
    options = service.options
    if options.hostname and options.domainname:
        yield f"127.0.1.1 {options.hostname}.{options.domainname} {options.hostname}"


def _extra(service: Service, host: Host) -> Iterator[str]:
    for entry in service.options.extra_hosts:
        name, _, address = entry.partition("=")
        yield f"{_from_inside(host) if address == HOST_GATEWAY else address} {name}"


def _from_inside(host: Host) -> str:
    """The host's address, as its replicas reach it."""
    return _THIS_MACHINE if ip_address(host.private_ip).is_loopback else host.private_ip
