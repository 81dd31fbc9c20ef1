"""Text of a YAML file to a tree of nodes: anchors and merge keys resolved, every value with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, Place
from bayplan.spec.reading import read_text, shown
from bayplan.spec.yaml_syntax import events, scalar

_TAGS = {"!reset", "!override"}
_YAML_TAGS = "tag:yaml.org,2002:"
_MOST_NODES = 200_000  # a file of 2,000 lines has about 10,000; aliases of aliases can make billions
_DEEPEST = 100  # those who walk the tree go down by recursion

_Built = tuple[Any, int]  # a node's value, and how many nodes it is with all that its aliases stand for


def read_file(path: Path, mistakes: Mistakes, place: Place | None = None) -> Node | None:
    """The tree of a file that is one document, or None and a mistake at `place`, which names the file."""
    documents = read_documents(path, mistakes, place)
    for second in documents[1:2]:
        todo = "keep one document a file; remove the --- line"
        mistakes.add("a second YAML document starts here", second.place, todo)
    return documents[0] if len(documents) == 1 else None


def read_documents(path: Path, mistakes: Mistakes, place: Place | None = None) -> tuple[Node, ...]:
    """The trees of a file's documents, in their order, or none and a mistake at `place`, which names the file."""
    name = "standard input" if str(path) == "-" else shown(path)
    text = read_text(path, place or Place(name), mistakes)
    return () if text is None else documents_of(text, name, mistakes)


def documents_of(text: str, file: str, mistakes: Mistakes) -> tuple[Node, ...]:
    """The trees of a text's documents, without those that are nothing to speak of; mistakes are added."""
    mistakes.read(file)
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        built = [*_Builder(file, mistakes, events(plain, file, mistakes)).documents()]
    except _CutShortError:
        return ()
    if not built:
        mistakes.add("the file is empty", Place(file, 1), "write services: into it")
    return tuple(Node(value, place) for place, (value, size) in built if _is_one(value, size, place, mistakes))


def _is_one(value: Any, size: int, place: Place, mistakes: Mistakes) -> bool:
    """Whether it can be a Compose file or a fleet's."""
    if size > _MOST_NODES:
        mistakes.add(f"aliases make {size:,} values of this file", place, "remove aliases that hold aliases")
    elif not isinstance(value, dict):
        mistakes.add("the file does not hold a map", place, "it starts with lines such as 'services:'")
    else:
        return True
    return False


class _CutShortError(Exception):
    """The events ended before the document did: why is told already."""


class _Builder:
    """One file's events to nodes. Aliases share what they stand for."""

    def __init__(self, file: str, mistakes: Mistakes, found: Iterator[Any]) -> None:
        self._file = file
        self._mistakes = mistakes
        self._events = found
        self._anchors: dict[str, _Built | None] = {}  # None: still open
        self._depth = 0

    def documents(self) -> Iterator[tuple[Place, _Built]]:
        """Those of a stream that are not empty, and where each starts."""
        self._next()  # the stream's start
        place: Place | None = None
        while type(start := self._next()).__name__ != "StreamEndEvent":
            place = self._place(start) if place else Place(self._file, 1)
            self._anchors.clear()  # an anchor is its document's own
            first = self._next()
            built = self._value(first)
            self._next()  # the document's end
            if type(first).__name__ != "ScalarEvent" or first.value:
                yield place, built

    def _next(self) -> Any:
        event = next(self._events, None)
        if event is None:
            raise _CutShortError
        return event

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _node(self, event: Any, place: Place) -> tuple[Node, int]:
        """The node that begins with this event. place: what is told of it."""
        tag = getattr(event, "tag", None) or ""
        if tag.startswith("!") and tag != "!" and tag not in _TAGS:
            self._mistakes.add(f"unknown tag {tag}", self._place(event), "Compose knows !reset and !override")
        if self._is_open(event):
            self._mistakes.add("an alias stands inside of what it stands for", place)
            return Node(None, place, broken=True), 1
        value, size = self._value(event)
        return Node(value, place, tag if tag in _TAGS else ""), size

    def _is_open(self, event: Any) -> bool:
        is_alias = type(event).__name__ == "AliasEvent"
        return is_alias and self._anchors.get(event.anchor, ()) is None

    def _value(self, event: Any) -> _Built:
        kind, anchor = type(event).__name__, event.anchor
        if kind == "AliasEvent":
            return self._alias(event)
        if anchor:
            self._anchors[anchor] = None
        if kind == "ScalarEvent":
            built: _Built = scalar(event.value, event.tag, is_plain=event.implicit[0]), 1
        else:
            built = self._deeper(event, kind)
        if anchor:
            self._anchors[anchor] = built
        return built

    def _alias(self, event: Any) -> _Built:
        if event.anchor not in self._anchors:
            todo = "an anchor (&name) must stand before the alias (*name) that uses it"
            what = f"this is not YAML: found undefined alias {event.anchor!r}"
            self._mistakes.add(what, self._place(event), todo)
            raise _CutShortError
        return self._anchors[event.anchor] or (None, 1)

    def _deeper(self, event: Any, kind: str) -> _Built:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._mistakes.add("lists and maps lie too deep in each other", self._place(event), "is it a Compose file?")
            raise _CutShortError
        built = self._map() if kind == "MappingStartEvent" else self._list()
        self._depth -= 1
        return built

    def _list(self) -> _Built:
        items: list[Node] = []
        total = 1
        while type(event := self._next()).__name__ != "SequenceEndEvent":
            node, size = self._node(event, self._place(event))
            items.append(node)
            total += size
        return items, total

    def _map(self) -> _Built:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        merges, total = False, 1
        while type(event := self._next()).__name__ != "MappingEndEvent":
            place = self._place(event)
            key, is_merge = self._key(event)
            node, size = self._node(self._next(), place)
            total += size
            if key is None:
                continue
            if is_merge:
                if merges:
                    self._mistakes.add("the key '<<' is there twice", place, "merge several at once: <<: [*one, *two]")
                merges = True
                self._merge(node, merged)
                continue
            if key in own:
                self._mistakes.add(
                    f"the key {key!r} is there twice", place, f"the first is in line {own[key].place.line}"
                )
            own[key] = node
        return own | {key: node for key, node in merged.items() if key not in own}, total

    def _key(self, event: Any) -> tuple[str | None, bool]:
        """The key as written, None if it is none, and whether it is a merge key."""
        if type(event).__name__ == "ScalarEvent":
            means_merge = event.tag == f"{_YAML_TAGS}merge" or (event.implicit[0] and not event.tag)
            self._value(event)  # for its anchor
            return str(event.value), means_merge and event.value == "<<"
        node, _ = self._node(event, self._place(event))
        if isinstance(node.value, dict | list):
            self._mistakes.add("a list or a map cannot be a key", node.place, "put it in quotes")
            return None, False
        return str(node.value), False

    def _merge(self, source: Node, into: dict[str, Node]) -> None:
        """`<<: *one` or `<<: [*one, *two]`; earlier ones win (YAML merge key type)."""
        for one in source.value if isinstance(source.value, list) else [source]:
            if isinstance(one.value, dict):
                into.update({k: v for k, v in one.value.items() if k not in into})
            elif not one.broken:
                self._mistakes.add("<< merges maps, and this is none", one.place, "<<: *anchor-of-a-map")
