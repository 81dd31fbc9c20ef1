"""Text to YAML events with libyaml, which scalars are numbers, and what is wrong with a text in words for people.

Plain scalars are taken as Compose takes them, which reads YAML with Go's yaml.v3: the core schema of YAML 1.2, and of
1.1 the octal 0440. "yes", "no", "on" and "off" are texts, and so is 22:22.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Decimal, Place, Scalar, Whole

_CORE = "tag:yaml.org,2002:"
_BOOL = {word: value for value in (True, False) for word in (f"{value}", f"{value}".lower(), f"{value}".upper())}
_NULL = {"", "~", "null", "Null", "NULL"}
_INT = re.compile(r"[-+]?(?:0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_FIRST = frozenset("+-.0123456789")

# What libyaml says, and what a person is told: (part of its words, what, what to do).
_SYNTAX = (
    ("a tab character", "a tab is used for indentation", "indent with spaces: YAML does not allow tabs"),
    (
        "mapping values are not allowed",
        "a 'key: value' stands where none can be",
        "check the indentation here and in the line before; put a value that contains ': ' in quotes",
    ),
    ("unexpected end of stream", "a quote is opened and never closed", "close it"),
    ("expected ',' or", "a [ or { is opened and not closed, or a comma is missing", "close it, or write the comma"),
    ("could not find expected ':'", "a key without a colon after it", "write 'key: value'; check the indentation"),
    (
        "did not find expected",
        "the indentation does not fit the lines before",
        "entries that belong together start in one column, and nothing follows a closing quote",
    ),
    ("unknown escape", "a backslash in double quotes with a letter that means nothing", "use single quotes, or \\\\"),
)
_STARTS = {
    "\t": ("a tab is used for indentation", "indent with spaces: YAML does not allow tabs"),
    "@": ("a value cannot start with @", "put it in quotes"),
    "`": ("a value cannot start with a backtick", "put it in quotes"),
    "%": ("a value cannot start with %", "put it in quotes"),
}


def events(text: str, file: str, mistakes: Mistakes) -> Iterator[Any]:
    """The events of a text (yaml.org, "Serialization Tree"); at a mistake, which is added, they end early."""
    import yaml

    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # without libyaml the same, ten times slower
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None and error.context_mark and mark.line >= text.rstrip().count("\n") + 1:
            mark = error.context_mark  # it ends before what began there does
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        at = text[mark.index : mark.index + 1] if mark else ""
        what, todo = _sentence(str(error.problem or error.context), at)
        mistakes.add(f"this is not YAML: {what}", place, todo)
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        offset = getattr(error, "position", None) or getattr(error, "start", 0)
        first = str(error).partition("\n")[0]
        mistakes.add(f"this is not YAML: {first}", Place(file, text.count("\n", 0, offset) + 1), "is it a text file?")


def _sentence(problem: str, at: str) -> tuple[str, str]:
    """What and what to do. at: the character that it is about."""
    if "cannot start any token" in problem and at in _STARTS:
        return _STARTS[at]
    return next(((what, todo) for part, what, todo in _SYNTAX if part in problem), (problem, ""))


def scalar(text: str, tag: str | None, *, is_plain: bool) -> Scalar:
    """The value of a scalar. tag: the one that is written, if any."""
    if tag is None or tag == "!":
        return _plain(text) if is_plain and tag is None else text
    kind = tag.removeprefix(_CORE)
    if kind == "null" or (kind == "!reset" and text in _NULL):
        return None
    return _plain(text) if kind in {"int", "float", "bool", "!reset", "!override"} else text


def _plain(text: str) -> Scalar:
    if text in _NULL:
        return None
    if text[0] not in _FIRST:
        return _BOOL.get(text, text)
    if _INT.fullmatch(text) and (number := _integer(text)) is not None:
        return Whole.of(number, text)
    if _FLOAT.fullmatch(text):
        return Decimal.of(float(text.lower().replace(".inf", "inf").replace(".nan", "nan").replace("_", "")), text)
    return text


def _integer(text: str) -> int | None:
    """0o17, and 017 as YAML 1.1 has it, are octal; 08 is a text to Go's parser, and to this one."""
    digits = text.replace("_", "").lower()
    prefix = digits.lstrip("+-")[:2]
    base = {"0o": 8, "0x": 16, "0b": 2}.get(prefix, 8 if len(prefix) > 1 and prefix[0] == "0" else 10)
    try:
        return int(digits.replace("0o", "0", 1) if base == 8 else digits, base)  # noqa: PLR2004
    except ValueError:
        return None
