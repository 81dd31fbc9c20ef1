"""Mistakes of services that name each other: who waits for whom, and by which names they are found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from bayplan.spec.model import Service
from bayplan.spec.resolve import Surroundings


def check_names(services: Sequence[Service], written: Collection[str], around: Surroundings) -> None:
    """Adds mistakes of depends_on and links. written: all services of the files."""
    there = {service.name: service for service in services}
    for service in services:
        for name, dependency in service.depends_on.items():
            if name not in there and dependency.required:
                _missing(service, _key(service, name, around), name, written, around)
        for link in service.links:
            if link.service not in there and not service.depends_on[link.service].required:
                _missing(service, "links", link.service, written, around)
    for circle in _circles(there):
        key = _key(there[circle[0]], (*circle, *circle)[1], around)
        around.wrong(
            f"services.{circle[0]}: {key} goes in a circle: {' -> '.join((*circle, circle[0]))}",
            "services", circle[0], key,
            todo="remove one of these: none could start",
        )  # fmt: skip


def _key(service: Service, name: str, around: Surroundings) -> str:
    """Where it says that it waits for another."""
    if around.has("services", service.name, "depends_on", name):
        return "depends_on"
    return "links" if any(link.service == name for link in service.links) else "volumes_from"


def _missing(service: Service, key: str, name: str, written: Collection[str], around: Surroundings) -> None:
    if name not in written and around.has("services", name):
        return  # it is there; what is wrong with it is told
    if name in written:
        what = f"{key} names {name!r}, whose profile is not asked for"
        todo = "ask for it (--profile, or COMPOSE_PROFILES), or "
        todo += "write required: false" if key == "depends_on" else "remove it here"
    else:
        what, todo = f"{key} names {name!r}, and there is no such service", f"services: {', '.join(sorted(written))}"
    tell = around.wrong if name in written else around.not_there
    tell(f"services.{service.name}: {what}", "services", service.name, key, name, todo=todo)


def _circles(there: Mapping[str, Service]) -> Iterator[tuple[str, ...]]:
    """Each circle once, from the service of it that stands first in the file."""
    order = {name: number for number, name in enumerate(there)}
    done: set[str] = set()
    for start in there:
        for circle in _walk(start, there, done):
            first = min(range(len(circle)), key=lambda i: order[circle[i]])
            yield (*circle[first:], *circle[:first])


def _walk(start: str, there: Mapping[str, Service], done: set[str]) -> Iterator[list[str]]:
    """The circles that can be reached from there; without recursion, as a chain may be as long as a file."""
    trail: dict[str, Iterator[str]] = {}
    at: str | None = None if start in done else start
    while at is not None or trail:
        if at is not None:
            trail[at] = iter(there[at].depends_on)
        name, others = next(reversed(trail.items()))
        at = next(others, None)
        if at is None:
            done.add(name)
            del trail[name]
        elif at in trail:
            way = list(trail)
            yield way[way.index(at) :]
            at = None
        elif at in done or at not in there:
            at = None


def check_aliases(names: Iterable[tuple[str, Mapping[str, tuple[str, ...]]]], around: Surroundings) -> None:
    """Adds mistakes of aliases: on one network a name leads to one service. names: of each service, by its networks."""
    services = dict(names)
    owners = {(network, name): name for name, networks in services.items() for network in networks}
    for service, networks in services.items():
        for network, aliases in networks.items():
            for alias in aliases:
                owner = owners.setdefault((network, alias), service)
                if owner != service:
                    _ambiguous(service, network, alias, owner, around)


def _ambiguous(service: str, network: str, alias: str, owner: str, around: Surroundings) -> None:
    at = ("services", service)
    path = (
        (*at, "networks", network, "aliases")
        if around.has(*at, "networks", network, "aliases")
        else (*at, "container_name")
    )
    around.wrong(
        f"services.{service}: {alias!r} is {owner}'s name too on the network {network}", *path,
        todo="choose another: a name leads to one service",
    )  # fmt: skip
