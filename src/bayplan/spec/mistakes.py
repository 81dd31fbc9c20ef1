"""Collecting what is wrong with the files, so that it is all told at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bayplan.errors import Mistake, SpecError
from bayplan.spec.node import Place


class Mistakes:
    """What is wrong so far. Files are told in the order in which they were first read, their lines ascending."""

    def __init__(self) -> None:
        self._found: list[Mistake] = []
        self._warnings: list[Mistake] = []
        self._files: list[str] = []

    def read(self, file: str) -> None:
        """A file is about to be read: its mistakes stand after those of the files before it."""
        if file not in self._files:
            self._files.append(file)

    def add(self, what: str, place: Place, todo: str = "") -> None:
        """One more. The same thing at the same place is told once."""
        self.read(place.file)
        mistake = Mistake(what, place.file, place.line, place.column, todo)
        if mistake not in self._found:
            self._found.append(mistake)

    def warn(self, what: str, place: Place, todo: str = "") -> None:
        """Something that may well be meant. Where it leads to a mistake in the same line, it is told as its cause."""
        self.read(place.file)
        warning = Mistake(what, place.file, place.line, place.column, todo)
        if warning not in self._warnings:
            self._warnings.append(warning)

    @property
    def warnings(self) -> tuple[Mistake, ...]:
        """As mistakes are ordered; but for those that are told as causes of mistakes. What is the same in several lines
        of a file is told once, in the first of them.
        """
        causes = self._causes()
        return tuple(_gathered(self._ordered([w for w in self._warnings if w not in causes])))

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self) -> None:
        """Raises SpecError if there is any."""
        if self._found:
            raise SpecError([*_gathered(self._ordered([*self._causes(), *self._found]))])

    def _causes(self) -> list[Mistake]:
        """Warnings of lines with mistakes, and the same ones of other lines."""
        lines = {(m.file, m.line) for m in self._found}
        causes = {(w.file, w.what) for w in self._warnings if (w.file, w.line) in lines}
        return [w for w in self._warnings if (w.file, w.what) in causes]

    def _ordered(self, found: list[Mistake]) -> list[Mistake]:
        return sorted(found, key=lambda m: (self._files.index(m.file), m.line, m.column))


def _gathered(told: Iterable[Mistake]) -> Iterator[Mistake]:
    """What is the same in several lines of a file, once."""
    same: dict[tuple[str, str, str], list[Mistake]] = {}
    for one in told:
        same.setdefault((one.file, one.what, one.todo), []).append(one)
    for first, *others in same.values():
        lines = [str(line) for line in dict.fromkeys(other.line for other in others) if line != first.line]
        also = f" (also line{'s'[: len(lines) - 1]} {', '.join(lines)})" if lines else ""
        yield replace(first, what=f"{first.what}{also}")
