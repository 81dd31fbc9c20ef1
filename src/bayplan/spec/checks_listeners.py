"""Mistakes of ports that are published where another is, and which of them are not published then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bayplan.spec.listeners import clash, meet
from bayplan.spec.model import Exposed, Port, Service
from bayplan.spec.resolve import Surroundings
from bayplan.spec.resolve.ports import port_pairs
from bayplan.spec.written import ServiceFile

_Both = tuple[Service, ServiceFile]


@dataclass(frozen=True)
class Published:
    """A port, and where it is written. is_implied: only the container's is, and the listener takes its number."""

    service: Service
    index: int
    port: Port
    is_implied: bool

    @property
    def path(self) -> tuple[str | int, ...]:
        return ("services", self.service.name, "ports", self.index)


Wrong = tuple[Published, str, str]  # what is wrong with it, as in "is web's too"; what to do


def published_of(service: Service, written: ServiceFile) -> Iterator[Published]:
    """The service's ports with their places."""
    there = {(e.host_ip, e.protocol, t, p): (index, e.published is None) for index, e, t, p in port_pairs(written)}
    for port in service.ports:
        index, is_implied = there[port.address, port.protocol, port.target, port.published]
        yield Published(service, index, port, is_implied)


def without_taken(services: Sequence[_Both], around: Surroundings) -> list[_Both]:
    """The services; a port whose number is only implied, and another's already, is exposed in place of published.

    Compose would take any free port of the host for it, so that no clash is meant. Numbers that are written are taken
    first, then implied ones in the file's order.
    """
    everything = [one for service, written in services for one in published_of(service, written)]
    taken = [one for one in everything if not _may_yield(one)]
    dropped: dict[str, list[Port]] = {}
    for two in filter(_may_yield, everything):
        one = next((one for one in taken if _bars(one, two, around)), None)
        if one is None:
            taken.append(two)
        else:
            _tell(one, two, around)
            dropped.setdefault(two.service.name, []).append(two.port)
    return [(_exposing(service, dropped.get(service.name, ())), written) for service, written in services]


def _may_yield(one: Published) -> bool:
    """With `x-bayplan.http` it is meant to share a listener."""
    return one.is_implied and one.service.http is None


def _bars(one: Published, two: Published, around: Surroundings) -> bool:
    return _clash(one, two, around) is not None


def _clash(one: Published, two: Published, around: Surroundings) -> tuple[str, str] | None:
    """Why both cannot be had, and what to do. Two ports of hosts themselves may be on different ones, if there are."""
    if (
        around.one_host
        and one.port.mode == "host"
        and meet(one.port, two.port)
        and one.service.name != two.service.name
    ):
        return f"is {one.service.name}'s too, and there is one host", "publish another port"
    return clash(one.service, one.port, two.service, two.port)


def _tell(one: Published, two: Published, around: Surroundings) -> None:
    number, target = two.port.published, str(two.port.target)
    if two.port.protocol != "tcp":
        target += f"/{two.port.protocol}"
    owner = "listed here" if one.service.name == two.service.name else f"{one.service.name}'s"
    around.mistakes.warn(
        f"services.{two.service.name}: port {number} is {owner} already, and is not published for this one: "
        f'write "HOSTPORT:{target}" to publish it, or expose: ["{target}"] if only other services reach it',
        around.place(*two.path),
    )


def _exposing(service: Service, dropped: Sequence[Port]) -> Service:
    if not dropped:
        return service
    more = (Exposed(port=port.target, protocol=port.protocol) for port in dropped)
    return service.model_copy(
        update={
            "ports": tuple(port for port in service.ports if port not in dropped),
            "expose": tuple(dict.fromkeys((*service.expose, *more))),
        }
    )


def check_listeners(published: Sequence[Published], around: Surroundings) -> None:
    """Adds mistakes of ports: each against those before it; the first that it clashes with is told."""
    found: list[Wrong] = []
    for index, two in enumerate(published):
        first = next(((one, *why) for one in published[:index] if (why := _clash(one, two, around))), None)
        if first:
            one, what, todo = first
            found.append((two, what, _of_two_files(one, two, around) or todo))
    tell_ports(found, around)


def tell_ports(found: Iterable[Wrong], around: Surroundings) -> None:
    """Adds mistakes of ports; those of a range that are wrong alike are one."""
    alike: dict[tuple[tuple[str | int, ...], str, str], list[Published]] = {}
    for one, what, todo in found:
        alike.setdefault((one.path, what, todo), []).append(one)
    for (path, what, todo), ports in alike.items():
        more = f" (and {len(ports) - 1} more)" if len(ports) > 1 else ""
        first = ports[0]
        around.wrong(f"services.{first.service.name}: port {first.port.published}{more} {what}", *path, todo=todo)


def _of_two_files(one: Published, two: Published, around: Surroundings) -> str:
    """What to do where a later file was to change a service's port, and has added one."""
    earlier, later = around.place(*one.path).file, around.place(*two.path).file
    if one.service.name != two.service.name or earlier == later:
        return ""
    return f"files add up their ports: in {later}, ports: !override [...] takes the place of those in {earlier}"
