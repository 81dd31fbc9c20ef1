"""`ports:` of a service."""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.spec.model import WEB_PORTS, Port
from bayplan.spec.resolve.around import Surroundings
from bayplan.spec.written.ports import PortFile
from bayplan.spec.written.service import ServiceFile

_Pair = tuple[int, PortFile, int, int]


def port_pairs(written: ServiceFile) -> Iterator[_Pair]:
    """Each published port: the index of its entry, the entry, the container's port, the published one.

    Of two that are the same the later is taken, as Compose does (compose-go's `EnforceUnicity`).
    """
    yield from {_key(pair): pair for pair in _all_pairs(written)}.values()


def _all_pairs(written: ServiceFile) -> Iterator[_Pair]:
    for index, entry in enumerate(written.ports or ()):
        for target, published in zip(entry.target, entry.published or entry.target, strict=True):
            yield index, entry, target, published


def _key(pair: _Pair) -> tuple[str, str, int, int]:
    _, entry, target, published = pair
    return entry.host_ip, entry.protocol, target, published


def ports(name: str, written: ServiceFile, around: Surroundings, *, http: bool) -> Iterator[Port]:
    """Where there is one host, it is the balancer's too: a UDP port is simply its own."""
    _warn_of_twins(name, written, around)
    for _, entry, target, published in port_pairs(written):
        said = entry.app_protocol
        guess = http or not {target, published}.isdisjoint(WEB_PORTS)
        yield Port(
            target=target,
            published=published,
            protocol=entry.protocol,
            mode="host" if entry.protocol == "udp" and around.one_host else entry.mode,
            address=entry.host_ip,
            app_protocol="http" if said == "http" or (said is None and guess) else "tcp",
        )


def _warn_of_twins(name: str, written: ServiceFile, around: Surroundings) -> None:
    seen: set[tuple[str, str, int, int]] = set()
    for pair in _all_pairs(written):
        if _key(pair) in seen:
            place = around.place("services", name, "ports", pair[0])
            around.mistakes.warn(f"services.{name}: port {pair[3]} is listed twice", place, "remove one")
        seen.add(_key(pair))
