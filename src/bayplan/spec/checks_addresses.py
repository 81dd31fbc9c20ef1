"""Addresses that a file gives a service on a network. Engines choose by themselves, so none can be had: which changes
nothing where the service's name is what the others use, and breaks whatever counts on one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from bayplan.spec.model import Service
from bayplan.spec.node import Node
from bayplan.spec.resolve import Surroundings
from bayplan.spec.written.service import ServiceFile

_KEYS: Final = ("ipv4_address", "ipv6_address")
_GIVEN: Final = frozenset({*_KEYS, "ipam"})  # where an address is given, and none is called


def check_addresses(services: Sequence[tuple[Service, ServiceFile]], around: Surroundings) -> None:
    """Adds a warning for each that nothing else in the files names, else what `up` refuses."""
    for service, written in services:
        for network, attachment in (written.networks or {}).items():
            for key in _KEYS:
                if address := getattr(attachment, key):
                    counts = next(_naming(address, [one for one, _ in services], around.root), None)
                    _tell(service.name, network, key, address, counts, around)


def _tell(name: str, network: str, key: str, address: str, counts: str | None, around: Surroundings) -> None:
    what, where = f"services.{name}.networks.{network}", ("services", name, "networks", network, key)
    if counts:
        around.missing(
            f"{what}: {key} cannot be had, and {counts} counts on it: addresses are each engine's own",
            *where,
            todo=_todo(counts, name),
        )
    else:
        around.mistakes.warn(
            f"{what}: {key} changes nothing: addresses are each engine's own",
            around.place(*where),
            f"remove it; whatever calls {address} is to use the service's name, {name}",
        )


def _todo(counts: str, name: str) -> str:
    if counts.endswith(".dns"):
        return "remove both: programs ask a DNS server by its address, and no replica has one that stays"
    if ".extra_hosts" in counts:
        return f"remove both: {name} is known by its name, and by those among its aliases"
    return f"write the service's name there, {name}, and remove it here"


def _naming(address: str, services: Iterable[Service], root: Node) -> Iterator[str]:
    """Where else it is named: in the files, then in those of `env_file`."""
    before, after = (r"(?<![\w.:])", r"(?!\w|[.:]\w*[.:])") if ":" in address else (r"(?<![\w.])", r"(?!\.?\w)")
    whole = re.compile(f"{before}{re.escape(address)}{after}")
    yield from _found(root, whole, ())
    for service in services:
        yield from (
            f"{name} of services.{service.name}.env_file"
            for name, value in service.environment.items()
            if value and whole.search(value)
        )


def _found(node: Node, whole: re.Pattern[str], path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            if key not in _GIVEN:
                yield from _found(child, whole, (*path, key))
    elif isinstance(node.value, list):
        for child in node.value:
            yield from _found(child, whole, path)
    elif isinstance(node.value, str) and whole.search(node.value):
        yield ".".join(path)
