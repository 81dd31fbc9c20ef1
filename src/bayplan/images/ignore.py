"""`.dockerignore`: which paths of a build context stay at home.

Rules: docs.docker.com/build/concepts/context/#dockerignore-files and github.com/moby/patternmatcher, which decide alike
for the classic builder and BuildKit: patterns apply in order, the last that matches wins, and a pattern that matches a
directory matches what is in it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line. keeps: it began with `!`."""

    text: str
    keeps: bool
    regex: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Ignore:
    """All lines of a file, in order."""

    patterns: tuple[Pattern, ...] = ()

    @property
    def has_exceptions(self) -> bool:
        """Whether something in an ignored directory may be wanted all the same."""
        return any(p.keeps for p in self.patterns)

    def matches(self, path: str) -> bool:
        """Whether a path, relative to the context with slashes, stays at home."""
        ignored = False
        for pattern in self.patterns:
            if pattern.keeps == ignored and _matches(pattern, path):
                ignored = not pattern.keeps
        return ignored


def read_ignore(text: str) -> Ignore:
    """The patterns of a file. Raises ValueError for one that cannot be read, and names its line."""
    return Ignore(tuple(_patterns(text)))


def _patterns(text: str) -> Iterator[Pattern]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if line.startswith("#") or not line.strip():
            continue
        keeps = line.strip().startswith("!")
        written = line.strip().removeprefix("!").strip()
        cleaned = posixpath.normpath(written).lstrip("/") if written else ""
        if not cleaned or cleaned == ".":
            continue
        try:
            yield Pattern(cleaned, keeps, re.compile(_regex(cleaned), re.DOTALL))
        except re.error as wrong:
            raise ValueError(f"line {number}: {written!r} is not a pattern ({wrong})") from wrong


def _matches(pattern: Pattern, path: str) -> bool:
    while path:
        if pattern.regex.fullmatch(path):
            return True
        path = posixpath.dirname(path)
    return False


_ITEM = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]*\]|\\.|.", re.DOTALL)
_WILD = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
_NOT_PLAIN = re.compile(r"[*?\[\]\\]")


def _regex(pattern: str) -> str:
    items = _ITEM.findall(pattern)
    return "".join(_any(items, at) if item == "**" else _translated(item) for at, item in enumerate(items))


def _any(items: list[str], at: int) -> str:
    """`**` that no slash follows: anything at the end, or before what is plain to the end; whole directories else.

    So `a**b` is `ab` and `ax/b`, and not `axb` (patternmatcher's `compile`).
    """
    rest = "".join(items[at + 1 :])
    return ".*" if not rest or (at == 0 and not _NOT_PLAIN.search(rest)) else _WILD["**/"]


def _translated(item: str) -> str:
    if item in _WILD:
        return _WILD[item]
    if item.startswith("[") and len(item) > 1:
        return item
    if item == "[":
        raise re.error("[ is not closed")
    return re.escape(item[1:] if len(item) > 1 else item)
