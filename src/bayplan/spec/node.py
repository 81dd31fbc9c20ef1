"""What a YAML file says and where it says it: a tree in which every value keeps its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. line and column count from 1; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0


class Whole(int):
    """A whole number that remembers how it was written."""

    written: str

    @classmethod
    def of(cls, value: int, written: str) -> Whole:
        number = cls(value)
        number.written = written
        return number


class Decimal(float):
    """A number that remembers how it was written: a version 1.10 is not 1.1."""

    written: str

    @classmethod
    def of(cls, value: float, written: str) -> Decimal:
        number = cls(value)
        number.written = written
        return number


Scalar = None | bool | Whole | Decimal | str


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place: of its key in a map, of the item in a list.

    tag: `!reset` or `!override`, if it has one. broken: a mistake about it is known already; say nothing more of it.
    """

    value: dict[str, Node] | list[Node] | Scalar
    place: Place
    tag: str = ""
    broken: bool = False


Path = Sequence[str | int]


def along(root: Node, path: Path) -> Iterator[Node]:
    """The nodes from the root along a path, as far as the path exists.

    Where a list of `KEY=value` stands for a map, a key finds its item.
    """
    node: Node | None = root
    for part in (*path, None):
        if node is None:
            return
        yield node
        node = None if part is None else _child(node, part)


def _child(node: Node, part: str | int) -> Node | None:
    value = node.value
    if isinstance(value, dict):
        return value.get(str(part))
    if not isinstance(value, list):
        return None
    if isinstance(part, int):
        return value[part] if part < len(value) else None
    return next((item for item in reversed(value) if str(item.value).partition("=")[0] == part), None)


def plain(node: Node) -> Any:
    """The value without its places."""
    value = node.value
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    return value


def written(value: object) -> str:
    """A scalar as its file has it; booleans in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.written if isinstance(value, Whole | Decimal) else str(value)


def kind(value: object) -> str:
    """What a person calls a value: "a list", "the number 3"."""
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return f"the boolean {written(value)}"
    if isinstance(value, int | float):
        return f"the number {written(value)}"
    return "nothing" if value is None else f"{str(value)!r}"
