"""Tables, as wide as the terminal lets them be."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bayplan.cli.console import table
from bayplan.cli.listing import Listing


def shown(rows: Listing, width: int) -> list[str]:
    said = io.StringIO()
    Console(file=said, width=width).print(rows)
    return said.getvalue().splitlines()


def replicas(*, right: tuple[str, ...] = ()) -> Listing:
    rows = table("replica", "host", "state", "endpoint", "release", right=right, indent=2)
    rows.add_row("shop-web-1-r1", "h1", "[green]ready[/]", "10.77.0.11:20080", "1")
    rows.add_row("shop-web-2-r12", "h2", "job done", "", "12")
    return rows


def test_a_row_a_line_where_there_is_room_and_no_line_ends_in_spaces() -> None:
    assert shown(replicas(), 80) == [
        "  replica         host  state     endpoint          release",
        "  ─────────────────────────────────────────────────────────".replace("  ─", "───", 1),
        "  shop-web-1-r1   h1    ready     10.77.0.11:20080  1",
        "  shop-web-2-r12  h2    job done                    12",
    ]


def test_numbers_stand_to_the_right() -> None:
    assert shown(replicas(right=("release",)), 80)[-2:] == [
        "  shop-web-1-r1   h1    ready     10.77.0.11:20080        1",
        "  shop-web-2-r12  h2    job done                         12",
    ]


def test_a_record_each_on_a_narrow_terminal() -> None:
    assert shown(replicas(right=("release",)), 40) == [
        "  replica shop-web-1-r1",
        "    host h1  state ready",
        "    endpoint 10.77.0.11:20080  release 1",
        "  replica shop-web-2-r12",
        "    host h2  state job done  release 12",
    ]


@pytest.mark.parametrize("width", range(1, 100))
def test_nothing_is_wider_than_the_terminal_or_left_out(width: int) -> None:
    lines = shown(replicas(), width)
    assert max(map(len, lines)) <= max(width, 5)
    said = "".join(lines).replace(" ", "")
    assert "…" not in said
    assert "20080" in said or width < 20
    assert "shop-web-1-r1" in said or width < 20


def test_the_last_cell_goes_on_below_itself() -> None:
    rows = table("release", "changed")
    rows.add_row("3", "web: image, replicas; + cache; - db")
    assert shown(rows, 30) == [
        "release  changed",
        "──────────────────────────────",
        "3        web: image, replicas;",
        "         + cache; - db",
    ]


def test_rows_of_several_listings_stand_below_one_another() -> None:
    short, long = table("name", "host", among=[("a-long-name", "h1")]), table("name", "host")
    short.add_row("a", "h1")
    long.add_row("a-long-name", "h1")
    assert shown(short, 80)[-1].index("h1") == shown(long, 80)[-1].index("h1")
