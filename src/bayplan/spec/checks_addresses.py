"""Addresses that a file gives a service on a network. Engines choose by themselves, so none can be had: which changes
nothing where the service's name is what the others use, and breaks whatever counts on one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bayplan.spec.model import Service
from bayplan.spec.node import Node
from bayplan.spec.resolve import Surroundings
from bayplan.spec.written.service import ServiceFile

_KEYS: Final = ("ipv4_address", "ipv6_address")
_GIVEN: Final = frozenset({*_KEYS, "ipam"})  # where an address is given, and none is called


def check_addresses(service: Service, written: ServiceFile, around: Surroundings) -> None:
    """Adds a warning for each that nothing else in the files names, else what `up` refuses."""
    for network, attachment in (written.networks or {}).items():
        for key in _KEYS:
            address: str | None = getattr(attachment, key)
            if not address:
                continue
            what, where = f"services.{service.name}.networks.{network}", ("services", service.name, "networks", network)
            if counts := next(_naming(around.root, address), None):
                around.missing(
                    f"{what}: {key} cannot be had, and {counts} counts on it: addresses are each engine's own",
                    *where, key,
                    todo=_todo(counts, service.name),
                )  # fmt: skip
            else:
                around.mistakes.warn(
                    f"{what}: {key} changes nothing: addresses are each engine's own",
                    around.place(*where, key),
                    f"remove it; whatever calls {address} is to use the service's name, {service.name}",
                )


def _todo(counts: str, name: str) -> str:
    if counts.endswith(".dns"):
        return "remove both: programs ask a DNS server by its address, and no replica has one that stays"
    return f"write the service's name there, {name}, and remove it here"


def _naming(root: Node, address: str) -> Iterator[str]:
    """Where else it is named."""
    whole = re.compile(rf"(?<![\w.:]){re.escape(address)}(?!\w|[.:]\w*[.:])")
    return _found(root, whole, ())


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
