"""Several Compose files to one tree, as in the Compose Specification, "Merge and override"."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bayplan.spec.merge_rules import Rule, as_long, as_map, rule_of
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, plain

_TAGS = {"!reset", "!override"}


def merge(base: Node, over: Node, mistakes: Mistakes, path: tuple[str, ...] = ()) -> Node:
    """The base with the later tree laid over it. path: where both stand in their files.

    What cannot be merged, such as a map with a text, is a mistake of the later one.
    """
    return _Merging(mistakes).merge(base, over, path)


def settled(node: Node) -> Node:
    """The tree without what `!reset` takes away, its tags gone."""
    value = node.value
    if isinstance(value, dict):
        return replace(node, value={k: settled(v) for k, v in value.items() if v.tag != "!reset"}, tag="")
    if isinstance(value, list):
        return replace(node, value=[settled(v) for v in value if v.tag != "!reset"], tag="")
    return replace(node, tag="") if node.tag else node


@dataclass(frozen=True)
class _Merging:
    mistakes: Mistakes

    def merge(self, base: Node, over: Node, path: tuple[str, ...]) -> Node:
        if over.tag in _TAGS:
            return over
        rule = rule_of(path)
        if rule.is_replaced or base.tag == "!reset":
            return over
        if over.value is None:  # nothing; but a variable without a value takes the operator's
            return over if path and rule_of(path[:-1]).form == "pairs" else base
        ours, theirs = as_long(base, rule), as_long(over, rule)
        if isinstance(ours.value, dict) and isinstance(theirs.value, dict):
            return self._maps(ours, theirs, path)
        if isinstance(ours.value, list) and isinstance(theirs.value, list):
            return _lists(ours, theirs, rule)
        if isinstance(ours.value, dict | list) or isinstance(theirs.value, dict | list):
            return self._unlike(base, over, path)
        return theirs

    def _maps(self, base: Node, over: Node, path: tuple[str, ...]) -> Node:
        ours, theirs = as_map(base), as_map(over)
        if path[-1:] == ("logging",) and _differ(ours, theirs, "driver"):
            return over  # options of one driver mean nothing to another
        merged = dict(ours)
        for key, child in theirs.items():
            merged[key] = self.merge(ours[key], child, (*path, key)) if key in ours else child
        return replace(over, value=merged)

    def _unlike(self, base: Node, over: Node, path: tuple[str, ...]) -> Node:
        if base.value is None or over.broken or base.broken:
            return over
        self.mistakes.add(
            f"{'.'.join(path)}: {_form(over)} cannot be laid over {_form(base)}",
            over.place,
            f"{base.place.file}:{base.place.line} has the other; write both in one form, or !override before this one",
        )
        return replace(over, broken=True)


def _lists(base: Node, over: Node, rule: Rule) -> Node:
    """Appended; where entries have a key, a later one with the same key is in the place of the earlier."""
    ours, theirs = base.value, over.value
    assert isinstance(ours, list)  # noqa: S101  the caller looked
    assert isinstance(theirs, list)  # noqa: S101
    if rule.key is None:
        return replace(over, value=ours + theirs)
    again = {rule.key(plain(item)) for item in theirs}
    return replace(over, value=[item for item in ours if rule.key(plain(item)) not in again] + theirs)


def _differ(ours: dict[str, Node], theirs: dict[str, Node], key: str) -> bool:
    return key in ours and key in theirs and ours[key].value != theirs[key].value


def _form(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a map"
    return "a list" if isinstance(node.value, list) else "a single value"
