"""What of the files is asked for. Of the rest only the form is checked: nothing has to be there for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from bayplan.spec.form import check_form
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node
from bayplan.spec.options import NO_BRIDGE
from bayplan.spec.resolve.top import ANYWHERE
from bayplan.spec.written import ServiceFile
from bayplan.spec.written.networks import NetworkFile


def asked_for(root: Node, profiles: frozenset[str], named: Collection[str], mistakes: Mistakes) -> Node:
    """The tree without services of profiles that nobody asks for (Compose Specification, "Profiles"), and without
    networks that none of the others is on.

    named: services that are asked for, whatever their profiles. compose-go drops both before it looks closer, too.
    """
    services = entries(root, "services")
    active = {name: node for name, node in services.items() if name in named or _is_asked_for(node, profiles)}
    for name, node in services.items():
        if name not in active:
            check_form(ServiceFile, node, mistakes, ("services", name))
    joined = {name for node in active.values() for name in _networks(node)}
    networks = entries(root, "networks")
    for name, node in networks.items():
        if name not in joined and node.value is not None:
            check_form(NetworkFile, node, mistakes, ("networks", name))
    kept = with_entries(root, "services", active)
    return with_entries(kept, "networks", {name: node for name, node in networks.items() if name in joined})


def entries(root: Node, section: str) -> Mapping[str, Node]:
    """What stands in a section of the file, by name."""
    node = root.value.get(section) if isinstance(root.value, dict) else None
    return node.value if node is not None and isinstance(node.value, dict) else {}


def with_entries(root: Node, section: str, kept: Mapping[str, Node]) -> Node:
    """The tree with other entries in a section, if it has that."""
    if not entries(root, section):
        return root
    assert isinstance(root.value, dict)  # noqa: S101  it has entries
    return replace(root, value={**root.value, section: replace(root.value[section], value=dict(kept))})


def _is_asked_for(service: Node, profiles: frozenset[str]) -> bool:
    own = service.value.get("profiles") if isinstance(service.value, dict) else None
    if own is None or not isinstance(own.value, list) or not own.value:
        return True  # what is no list is told when it is checked
    return "*" in profiles or not profiles.isdisjoint(str(item.value) for item in own.value)


def _networks(service: Node) -> Collection[str]:
    """The networks that a service is on, as far as it can be read."""
    own = service.value if isinstance(service.value, dict) else {}
    written, mode = own.get("networks"), own.get("network_mode")
    if mode is not None and mode.value in NO_BRIDGE:
        return ()
    if written is None or not written.value:
        return (ANYWHERE,)
    if isinstance(written.value, list):
        return [str(item.value) for item in written.value]
    return written.value if isinstance(written.value, dict) else ()
