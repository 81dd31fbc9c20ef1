"""Rows below a head; a record each where the terminal is too narrow for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

GAP = 2  # columns between two cells
NARROWEST = 15  # columns in which the last cell may go on below itself

Row = Sequence[str]


@dataclass(frozen=True)
class Listing:
    """Cells are markup, one line each. right: columns that stand to the right, as numbers do. among: rows of other
    listings with the same columns, whose cells stand below these.
    """

    columns: tuple[str, ...]
    right: Collection[str] = ()
    indent: int = 0
    among: Sequence[Row] = ()
    rows: list[Row] = field(default_factory=list)

    def add_row(self, *cells: str) -> None:
        """One more; the columns that are left have nothing in them."""
        self.rows.append((*cells, *[""] * (len(self.columns) - len(cells))))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Half a name is none: what does not fit in a line of cells goes on below, or the whole row does."""
        widths = self._widths(console)
        room = options.max_width - self.indent - sum(width + GAP for width in widths[:-1])
        rows = [[console.render_str(cell) for cell in row] for row in self.rows]
        if widths[-1] <= room or (room >= NARROWEST and self.columns[-1] not in self.right):
            yield from self._as_lines(rows, [*widths[:-1], min(widths[-1], room)], console)
        else:
            yield from self._as_records(rows, options.max_width, console)

    def _widths(self, console: Console) -> list[int]:
        widths = [len(column) for column in self.columns]
        for row in (*self.rows, *self.among):
            for at, cell in enumerate(row):
                widths[at] = max(widths[at], console.render_str(cell).cell_len)
        return widths

    def _as_lines(self, rows: list[list[Text]], widths: list[int], console: Console) -> Iterator[Text]:
        from rich.text import Text

        yield self._line([Text(column, style="dim") for column in self.columns], widths)
        yield Text("─" * (self.indent + sum(widths) + GAP * (len(widths) - 1)), no_wrap=True)
        for row in rows:
            first, *more = row[-1].wrap(console, widths[-1]) if row[-1] else [row[-1]]
            yield self._line([*row[:-1], first], widths)
            for rest in more:
                yield self._line([*(Text() for _ in widths[:-1]), rest], widths)

    def _line(self, cells: Sequence[Text], widths: list[int]) -> Text:
        from rich.text import Text

        line = Text(" " * self.indent, no_wrap=True)
        for column, cell, width in zip(self.columns, cells, widths, strict=True):
            space = " " * (width - cell.cell_len)
            line.append_text(Text(space) + cell if column in self.right else cell + Text(space)).append(" " * GAP)
        line.rstrip()
        return line

    def _as_records(self, rows: list[list[Text]], width: int, console: Console) -> Iterator[Text]:
        for row in rows:
            first, *more = [self._pair(column, cell) for column, cell in zip(self.columns, row, strict=True) if cell]
            yield from _indented([first], self.indent, width, console)
            yield from _indented(more, self.indent + GAP, width, console)

    def _pair(self, column: str, cell: Text) -> Text:
        from rich.text import Text

        return Text.assemble((f"{column} " if column else "", "dim"), cell)


def _indented(pairs: Sequence[Text], indent: int, width: int, console: Console) -> Iterator[Text]:
    """As many in a line as go there."""
    from rich.text import Text

    line, room = Text(), max(width - indent, 1)
    lines = [line]
    for pair in pairs:
        if line and line.cell_len + GAP + pair.cell_len > room:
            lines.append(line := Text())
        line.append_text(Text(" " * GAP if line else "") + pair)
    for one in lines:
        for part in one.wrap(console, room) if one else []:
            yield Text(" " * indent, no_wrap=True) + part
