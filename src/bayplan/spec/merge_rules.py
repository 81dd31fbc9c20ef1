"""How each key merges where it is neither a plain map nor a plain list (as the Specification and Compose have it)."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from bayplan.spec.mount_syntax import mount_key
from bayplan.spec.node import Node, written
from bayplan.spec.port_syntax import port_key
from bayplan.spec.storage import CONFIGS, SECRETS

Form = Literal["", "list", "pairs", "networks", "depends", "build", "ulimit", "hosts"]


@dataclass(frozen=True)
class Rule:
    """form: the long one that short ones are turned into. key: what makes a list's entry unique. is_replaced: whole."""

    form: Form = ""
    key: Callable[[Any], tuple[str, ...]] | None = None
    is_replaced: bool = False


def _whole(entry: Any) -> tuple[str, ...]:
    return (repr(entry),)


def _grant(entry: Any, directory: str = "") -> tuple[str, ...]:
    """What a secret or config is unique by: its place in the replica. directory: where it is unless that is written."""
    said = entry.get("target", entry.get("source", "")) if isinstance(entry, dict) else entry
    return (posixpath.join(directory, str(said)),)


def _device(entry: Any) -> tuple[str, ...]:
    if isinstance(entry, dict):
        return (str(entry.get("target", entry.get("source", ""))),)
    parts = str(entry).split(":")
    return (parts[1] if len(parts) > 1 and parts[1].startswith("/") else parts[0],)


def _env_file(entry: Any) -> tuple[str, ...]:
    return (str(entry.get("path", "")),) if isinstance(entry, dict) else (str(entry),)


_PAIRS = Rule("pairs")
_UNIQUE = Rule("list", _whole)
_OF_SERVICES = {
    "command": Rule(is_replaced=True),
    "entrypoint": Rule(is_replaced=True),
    "annotations": _PAIRS,
    "environment": _PAIRS,
    "labels": _PAIRS,
    "sysctls": _PAIRS,
    "storage_opt": _PAIRS,
    "extra_hosts": Rule("hosts", _whole),
    "build": Rule("build"),
    "depends_on": Rule("depends"),
    "networks": Rule("networks"),
    "env_file": Rule("list", _env_file),
    "label_file": _UNIQUE,
    "ports": Rule(key=port_key),
    "volumes": Rule(key=mount_key),
    "secrets": Rule(key=partial(_grant, directory=SECRETS)),
    "configs": Rule(key=partial(_grant, directory=CONFIGS)),
    "devices": Rule(key=_device),
    **dict.fromkeys(("dns", "dns_search", "tmpfs"), _UNIQUE),
    **dict.fromkeys(
        ("cap_add", "cap_drop", "dns_opt", "expose", "links", "profiles", "group_add", "security_opt"),
        Rule(key=_whole),
    ),
}
_OF_BUILDS = {
    **dict.fromkeys(("args", "labels", "additional_contexts", "ssh"), _PAIRS),
    **dict.fromkeys(("tags", "platforms", "cache_from", "cache_to"), Rule(key=_whole)),
    "extra_hosts": Rule("hosts", _whole),
    "secrets": Rule(key=_grant),
}
_NONE = Rule()


def rule_of(path: tuple[str, ...]) -> Rule:
    """The rule of what stands at a path of the file."""
    match path:
        case ("services", _, key):
            return _OF_SERVICES.get(key, _NONE)
        case ("services", _, "healthcheck", "test"):
            return Rule(is_replaced=True)
        case ("services", _, "build", key):
            return _OF_BUILDS.get(key, _NONE)
        case ("services", _, "deploy", "labels") | ("volumes" | "networks" | "secrets" | "configs", _, "labels"):
            return _PAIRS
        case ("services", _, "ulimits", _) | ("services", _, "build", "ulimits", _):
            return Rule("ulimit")
        case ("services", _, "networks", _, "aliases"):
            return Rule(key=_whole)
        case _:
            return _NONE


def as_long(node: Node, rule: Rule) -> Node:
    """A short form as the long one that it stands for; what is neither is left as it is, and told later."""
    value = node.value
    is_scalar = not isinstance(value, dict | list)
    if value is None:
        return node
    match rule.form:
        case "list" if is_scalar:
            return replace(node, value=[node], tag="")
        case "build" if is_scalar:
            return replace(node, value={"context": node}, tag="")
        case "ulimit" if is_scalar:
            return replace(node, value={"soft": node, "hard": node}, tag="")
        case "pairs" if isinstance(value, list) and _are_scalars(value):
            return replace(node, value=_pairs(value))
        case "networks" if isinstance(value, list) and _are_scalars(value):
            return replace(node, value={written(item.value): replace(item, value={}) for item in value})
        case "depends" if isinstance(value, list) and _are_scalars(value):
            return replace(node, value={written(item.value): _started(item) for item in value})
        case "hosts" if isinstance(value, dict):
            return replace(node, value=_hosts(value))
    return node


def as_map(node: Node) -> dict[str, Node]:
    """The entries of a map."""
    assert isinstance(node.value, dict)  # noqa: S101  the caller looked
    return node.value


def _are_scalars(items: list[Node]) -> bool:
    return not any(item.value is None or isinstance(item.value, dict | list) for item in items)


def _pairs(items: list[Node]) -> dict[str, Node]:
    """A list of `KEY=value` as the map that it stands for; `KEY` alone has no value."""
    entries: dict[str, Node] = {}
    for item in items:
        key, sign, value = written(item.value).partition("=")
        entries[key] = replace(item, value=value if sign else None)
    return entries


def _started(item: Node) -> Node:
    return replace(item, value={"condition": replace(item, value="service_started")})


def _hosts(entries: dict[str, Node]) -> list[Node]:
    """`name=address`, so that maps and lists append to each other."""
    found: list[Node] = []
    for name, node in entries.items():
        addresses = node.value if isinstance(node.value, list) else [node]
        found += [replace(node, value=f"{name}={written(one.value)}", tag="") for one in addresses]
    return found
