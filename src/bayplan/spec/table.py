"""A CSV file as rows of named fields, every mistake with its line and the name of its column."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Place
from bayplan.spec.reading import read_text, shown


@dataclass(frozen=True, slots=True)
class Row:
    """One line. fields: by column, stripped."""

    file: str
    line: int
    fields: dict[str, str]
    mistakes: Mistakes

    def wrong(self, column: str, what: str, todo: str = "") -> None:
        """A mistake in one of its columns."""
        at = list(self.fields).index(column) + 1 if column in self.fields else 0
        self.mistakes.add(f"column {column}: {what}", Place(self.file, self.line, at), todo)

    def text(self, column: str) -> str | None:
        """What is written, or None and a mistake if nothing is."""
        if not self.fields[column]:
            self.wrong(column, "is empty", "write one")
            return None
        return self.fields[column]

    def number(self, column: str) -> float | None:
        """A finite number, 0 or more; None and a mistake if it is not."""
        written = self.text(column)
        return None if written is None else self._number(column, written)

    def _number(self, column: str, written: str) -> float | None:
        try:
            value = float(written)
        except ValueError:
            self.wrong(column, f"{written!r} is not a number", "write one such as 0.5")
            return None
        if not math.isfinite(value) or value < 0:
            what = "is negative" if value < 0 else "is not a finite number"
            self.wrong(column, f"{written} {what}", "write a number that is 0 or more")
            return None
        return value

    def whole(self, column: str) -> int | None:
        """A whole number, 0 or more; None and a mistake if it is not."""
        value = self.number(column)
        if value is not None and value != int(value):
            self.wrong(column, f"{self.fields[column]} is not a whole number", "write one such as 3")
            return None
        return None if value is None else int(value)

    def numbers(self, columns: Sequence[str]) -> tuple[float, ...] | None:
        """Several; None and a mistake each if any is wrong."""
        try:
            values = tuple(map(float, map(self.fields.__getitem__, columns)))
        except ValueError:
            values = (-1.0,)
        if all(0 <= value < math.inf for value in values):
            return values
        each = [self.number(column) for column in columns]
        return tuple(value for value in each if value is not None) if None not in each else None


@dataclass(frozen=True, slots=True)
class Table:
    """A file: its columns in order and its rows."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path, needed: Sequence[str], mistakes: Mistakes) -> Table | None:
    """The table that a file holds, or None and mistakes. needed: columns that must be there; others are kept."""
    file = shown(path)
    mistakes.read(file)
    text = read_text(path, Place(file), mistakes)
    if text is None:
        return None
    lines = list(_lines(text, file, mistakes))
    if not lines:
        mistakes.add("is empty", Place(file), f"its first line names the columns: {','.join(needed)},…")
        return None
    first, header = lines[0]
    missing = [column for column in needed if column not in header]
    for column in missing:
        mistakes.add(f"column {column} is missing", Place(file, first), f"the first line is: {','.join(header)}")
    twice = {column for column in header if header.count(column) > 1}
    for column in sorted(twice):
        mistakes.add(f"column {column or '(no name)'} is there twice", Place(file, first), "rename one of them")
    if missing or twice:
        return None
    rows = tuple(_rows(file, header, lines[1:], mistakes))
    return Table(file, tuple(header), rows)


def _lines(text: str, file: str, mistakes: Mistakes) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text))
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as error:
        mistakes.add(f"cannot be read as CSV: {error}", Place(file, reader.line_num))


def _rows(file: str, header: list[str], lines: list[tuple[int, list[str]]], mistakes: Mistakes) -> Iterator[Row]:
    for line, fields in lines:
        if len(fields) < len(header):
            what = f"column {header[len(fields)]}: is missing: the line has {len(fields)} of {len(header)} fields"
            mistakes.add(what, Place(file, line), "the first line names them all")
        elif len(fields) > len(header):
            what = f"{len(fields)} fields, and the first line names {len(header)}: column {header[-1]} is the last"
            mistakes.add(what, Place(file, line), "correct one of the two lines")
        else:
            yield Row(file, line, dict(zip(header, fields, strict=True)), mistakes)
