"""Several Compose files to one tree, as in the Compose Specification, "Merge and override"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bayplan.spec.node import Node, plain, written
from bayplan.spec.port_syntax import port_key

Merger = Callable[[Node, Node], Node]


def merge(base: Node, over: Node) -> Node:
    """The base with the later file laid over it."""
    return _merge(base, over, ())


def settled(node: Node) -> Node:
    """The tree without what `!reset` takes away, its tags gone."""
    value = node.value
    if isinstance(value, dict):
        return replace(node, value={k: settled(v) for k, v in value.items() if v.tag != "!reset"}, tag="")
    if isinstance(value, list):
        return replace(node, value=[settled(v) for v in value if v.tag != "!reset"], tag="")
    return replace(node, tag="") if node.tag else node


def _merge(base: Node, over: Node, path: tuple[str, ...]) -> Node:
    if over.tag in {"!reset", "!override"}:
        return over
    if special := _special(path):
        return special(base, over)
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        return _merge_maps(base, over, path)
    if isinstance(base.value, list) and isinstance(over.value, list):
        return replace(over, value=base.value + over.value)
    if over.value is None and isinstance(base.value, dict | list):
        return base
    return over


def _merge_maps(base: Node, over: Node, path: tuple[str, ...]) -> Node:
    ours, theirs = base.value, over.value
    assert isinstance(ours, dict)  # noqa: S101  the caller looked
    assert isinstance(theirs, dict)  # noqa: S101
    merged = dict(ours)
    for key, child in theirs.items():
        merged[key] = _merge(ours[key], child, (*path, key)) if key in ours else child
    return replace(over, value=merged)


def _special(path: tuple[str, ...]) -> Merger | None:
    match path:
        case ("services", _, "command" | "entrypoint") | ("services", _, "healthcheck", "test"):
            return lambda _, over: over
        case ("services", _, "environment" | "labels") | ("services", _, "build", "args" | "labels"):
            return lambda base, over: _merge_maps(as_map(base), as_map(over), path) if _maps(base, over) else over
        case ("services", _, "build"):
            return lambda base, over: _merge_maps(_as_build(base), _as_build(over), path)
        case ("services", _, "env_file"):
            return lambda base, over: replace(over, value=_as_list(base) + _as_list(over))
        case ("services", _, "ports"):
            return _merge_ports
        case _:
            return None


def as_map(node: Node) -> Node:
    """A list of `KEY=value` as the map that it stands for; `KEY` alone has no value."""
    if not isinstance(node.value, list):
        return node
    entries: dict[str, Node] = {}
    for item in node.value:
        key, sign, value = written(item.value).partition("=")
        entries[key] = replace(item, value=value if sign else None)
    return replace(node, value=entries)


def _maps(*nodes: Node) -> bool:
    """Whether these are maps, or lists that can stand for one; anything else is a mistake, told later."""
    return all(
        isinstance(n.value, dict)
        or (isinstance(n.value, list) and not any(isinstance(i.value, dict | list) for i in n.value))
        for n in nodes
    )


def _as_build(node: Node) -> Node:
    return node if isinstance(node.value, dict) else replace(node, value={"context": node})


def _as_list(node: Node) -> list[Node]:
    return node.value if isinstance(node.value, list) else [node]


def _merge_ports(base: Node, over: Node) -> Node:
    """The same port again is the later file's; others are appended."""
    if not isinstance(base.value, list) or not isinstance(over.value, list):
        return over
    again = {port_key(plain(item)) for item in over.value}
    return replace(over, value=[item for item in base.value if port_key(plain(item)) not in again] + over.value)
