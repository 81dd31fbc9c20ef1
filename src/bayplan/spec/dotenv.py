"""Environment files: `.env` and what `env_file` names (Compose, "Env_file format").

Names and what ends them are as Compose's own parser takes them (compose-go, dotenv), which says more than the
Specification: `NAME: value` too. `format: raw` is `docker run --env-file`'s (docker/cli, kvfile).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bayplan.spec.interpolate import Told, substitute
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Place

_LINE = re.compile(r"(?:export\s+)?(?P<name>[\w.\[\]-]+)\s*(?P<sign>[=:](?P<space>\s*)(?P<value>.*))?$", re.DOTALL)
_ESCAPE = re.compile(r"\\([nrt\"\\$])")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$$"}


@dataclass(frozen=True, slots=True)
class Variable:
    """One of a file, and where it is written."""

    name: str
    value: str
    place: Place


def read_dotenv(text: str, file: str, environment: Mapping[str, str], mistakes: Mistakes) -> dict[str, str]:
    """The variables of a file by name."""
    return {v.name: v.value for v in dotenv_variables(text, file, environment, mistakes)}


def dotenv_variables(
    text: str, file: str, environment: Mapping[str, str], mistakes: Mistakes, before: Mapping[str, str] | None = None
) -> list[Variable]:
    """The variables of a file, in its order. Their values may use the environment and those before them.

    A name alone takes its value from the environment, and is left out if it has none there. before: those of files
    that were read before this one.
    """
    mistakes.read(file)
    found: list[Variable] = []
    seen = dict(before or {})
    for line, written in _logical_lines(text.removeprefix("\ufeff").replace("\r\n", "\n")):
        place = Place(file, line)
        match = _LINE.match(written)
        if not match:
            mistakes.add(f"{written.strip()!r} is not NAME=value", place, "a comment starts with #")
            continue
        name = match["name"]
        if match["sign"] is not None:
            if match["space"] and match["value"].startswith("#"):
                what = (
                    f"{name} is {match['value']!r}, as in docker compose: after = there is no comment without a value"
                )
                mistakes.warn(what, place, f'for an empty one write {name}="" before it')
            seen[name] = _value(match["value"], {**seen, **environment}, place, mistakes)
        elif name in environment:
            seen[name] = environment[name]
        else:
            continue
        found.append(Variable(name, seen[name], place))
    return found


def raw_variables(text: str, file: str, environment: Mapping[str, str], mistakes: Mistakes) -> list[Variable]:
    """The variables of a file of `format: raw`: everything after the first = is the value, quotes and $ included.

    A name alone is as in other files.
    """
    mistakes.read(file)
    found: list[Variable] = []
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        name, sign, value = line.lstrip().partition("=")
        place = Place(file, number)
        if not line.strip() or name.startswith("#"):
            continue
        if not name:
            mistakes.add(f"{line.strip()!r} has no name", place, "write NAME=value")
        elif " " in name or "\t" in name:
            mistakes.add(
                f"the name {name!r} has a space", place, "format: raw has NAME=value, without export or spaces"
            )
        elif sign or name in environment:
            found.append(Variable(name, value if sign else environment[name], place))
    return found


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers, without blank ones and comments; a quoted value may go on over several."""
    lines = text.split("\n")
    found: list[tuple[int, str]] = []
    at = 0
    while at < len(lines):
        start, line = at, lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        quote = _open_quote(line)
        while quote and at < len(lines):
            line, at = f"{line}\n{lines[at]}", at + 1
            quote = _open_quote(line)
        found.append((start + 1, line))
    return found


def _open_quote(line: str) -> str:
    """The quote that the value opens and does not close, or nothing."""
    match = _LINE.match(line)
    value = (match and match["value"]) or ""
    quote = value[:1]
    return quote if quote in {"'", '"'} and _closing_quote(value) < 0 else ""


def _closing_quote(value: str) -> int:
    at = 1
    while at < len(value) and value[at] != value[0]:
        at += 2 if value[at] == "\\" else 1
    return at if at < len(value) else -1


def _value(text: str, variables: Mapping[str, str], place: Place, mistakes: Mistakes) -> str:
    def wrong(what: str, todo: str) -> None:
        mistakes.add(what, place, todo)

    told = Told(wrong, lambda what, todo: mistakes.warn(what, place, todo))
    quote = text[:1]
    if quote not in {"'", '"'}:
        # A space is before a comment (compose-go's `extractVarValue`): #fff is a colour.
        return substitute(text.partition(" #")[0].strip(), variables, told)
    end = _closing_quote(text)
    rest = text[end + 1 :].strip()
    if end < 0 or (rest and not rest.startswith("#")):
        wrong("a quote is not closed" if end < 0 else f"{rest!r} stands after the closing quote", "quote it all")
        return ""
    inner = text[1:end]
    if quote == "'":
        return inner.replace("\\'", "'")
    return substitute(_ESCAPE.sub(lambda match: _ESCAPED[match[1]], inner), variables, told)
