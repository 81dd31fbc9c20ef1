"""Text of a YAML file to a tree of nodes (YAML 1.2 core schema; anchors and merge keys resolved)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Decimal, Node, Place, Scalar, Whole

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

_CORE = "tag:yaml.org,2002:"
_TAGS = {"!reset", "!override"}
_MOST_NODES = 200_000  # a file of 2,000 lines has about 10,000; aliases of aliases can make billions

# What ruamel.yaml says, and what a person is told: (part of its words, what, what to do).
_SYNTAX = (
    ("'\\t' that cannot start", "a tab is used for indentation", "indent with spaces: YAML does not allow tabs"),
    ("'@' that cannot start", "a value cannot start with @", "put it in quotes"),
    ("'`' that cannot start", "a value cannot start with a backtick", "put it in quotes"),
    ("'%' that cannot start", "a value cannot start with %", "put it in quotes"),
    (
        "mapping values are not allowed",
        "a 'key: value' stands where none can be",
        "check the indentation here and in the line before; put a value that contains ': ' in quotes",
    ),
    ("undefined alias", "{problem}", "an anchor (&name) must stand before the alias (*name) that uses it"),
    ("another document", "a second YAML document starts here", "keep one document a file; remove the --- line"),
    ("unexpected end of stream", "a quote is opened and never closed", "close it"),
    ("'<stream end>'", "a [ or { is opened and never closed", "close it"),
    ("could not find expected ':'", "a key without a colon after it", "write 'key: value'; check the indentation"),
    (
        "<block end>",
        "the indentation does not fit the lines before",
        "entries that belong together start in one column",
    ),
)


def read_document(text: str, file: str, mistakes: Mistakes) -> Node | None:
    """The tree of a file's text, or None if there is none to speak of; mistakes are added."""
    mistakes.read(file)
    root = _compose(text.removeprefix("\ufeff").replace("\r\n", "\n"), file, mistakes)
    if root is None:
        return None
    return _Builder(file, mistakes).document(root)


def _compose(text: str, file: str, mistakes: Mistakes) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML 1.2, 3.2.2.2: an anchor may be set anew
            root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        mistakes.add(*_sentence(str(error.problem or error.context), place))
        return None
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        first = str(error).partition("\n")[0]
        mistakes.add(f"this is not YAML: {first}", Place(file, line), "is it a text file?")
        return None
    if root is None:
        mistakes.add("the file is empty", Place(file, 1), "write services: into it")
    return root


def _sentence(problem: str, place: Place) -> tuple[str, Place, str]:
    for part, what, todo in _SYNTAX:
        if part in problem:
            return f"this is not YAML: {what.format(problem=problem)}", place, todo
    return f"this is not YAML: {problem}", place, ""


class _Builder:
    """Turns one file's nodes of ruamel.yaml into ours."""

    def __init__(self, file: str, mistakes: Mistakes) -> None:
        self._file = file
        self._mistakes = mistakes
        self._done: dict[int, tuple[Any, int]] = {}  # aliases share what they stand for: its value, its size
        self._open: set[int] = set()

    def document(self, root: Any) -> Node | None:
        value, size = self._value(root)
        place = Place(self._file, 1)
        if size > _MOST_NODES:
            self._mistakes.add(f"aliases make {size:,} values of this file", place, "remove aliases that hold aliases")
            return None
        if not isinstance(value, dict):
            self._mistakes.add("the file does not hold a map", place, "it starts with lines such as 'services:'")
            return None
        return Node(value, place)

    def _place(self, node: Any) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _value(self, node: Any) -> tuple[Any, int]:
        if id(node) in self._open:
            return None, 1
        if id(node) not in self._done:
            self._open.add(id(node))
            self._done[id(node)] = self._content(node)
            self._open.discard(id(node))
        return self._done[id(node)]

    def _content(self, node: Any) -> tuple[Any, int]:
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        if isinstance(node, MappingNode):
            return self._map(node)
        if isinstance(node, SequenceNode):
            return self._list(node)
        return self._scalar(node), 1

    def _node(self, node: Any, place: Place) -> tuple[Node, int]:
        if id(node) in self._open:
            self._mistakes.add("an alias stands inside of what it stands for", place)
            return Node(None, place, broken=True), 1
        value, size = self._value(node)
        tag = str(node.tag or "")
        if tag.startswith("!") and tag not in _TAGS:
            self._mistakes.add(f"unknown tag {tag}", self._place(node), "Compose knows !reset and !override")
        return Node(value, place, tag if tag in _TAGS else ""), size

    def _list(self, node: SequenceNode) -> tuple[list[Node], int]:
        items = [self._node(item, self._place(item)) for item in node.value]
        return [item for item, _ in items], sum(size for _, size in items) + 1

    def _map(self, node: MappingNode) -> tuple[dict[str, Node], int]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        total = 1
        for key_node, value_node in node.value:
            if key_node.tag == f"{_CORE}merge":
                total += self._merge(value_node, merged)
                continue
            key = self._key(key_node)
            place = self._place(key_node)
            if key in own:
                self._mistakes.add(
                    f"the key {key!r} is there twice", place, f"the first is in line {own[key].place.line}"
                )
            own[key], size = self._node(value_node, place)
            total += size
        return own | {key: value for key, value in merged.items() if key not in own}, total

    def _key(self, node: Any) -> str:
        if isinstance(node.value, str):
            return node.value
        self._mistakes.add("a list or a map cannot be a key", self._place(node), "put it in quotes")
        return ""

    def _merge(self, node: Any, into: dict[str, Node]) -> int:
        """`<<: *one` or `<<: [*one, *two]`; earlier ones win (YAML merge key type)."""
        value, size = self._value(node)
        for source in [n.value for n in value] if isinstance(value, list) else [value]:
            if isinstance(source, dict):
                into.update({k: v for k, v in source.items() if k not in into})
            else:
                self._mistakes.add("<< merges maps, and this is none", self._place(node), "<<: *anchor-of-a-map")
        return int(size)

    def _scalar(self, node: ScalarNode) -> Scalar:
        text, tag = str(node.value), str(node.tag).removeprefix(_CORE)
        if tag == "null" or (tag == "!reset" and not text):
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag == "int":
            return Whole.of(_integer(text), text)
        if tag == "float":
            return Decimal.of(float(text.lower().replace(".inf", "inf").replace(".nan", "nan").replace("_", "")), text)
        return text


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    prefix = digits.lstrip("+-")[:2].lower()
    return int(digits, {"0o": 8, "0x": 16, "0b": 2}.get(prefix, 10))
