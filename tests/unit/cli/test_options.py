"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rich.text import Text
from typer.main import get_command

from bayplan.cli.main import app
from bayplan.cli.options import bare, variables


@pytest.mark.parametrize(
    ("typed", "command"),
    [(["--", "ls", "-l"], ["ls", "-l"]), (["ls", "--", "-l"], ["ls", "--", "-l"]), (["--", "--"], ["--"]), ([], [])],
)
def test_only_the_first_dashes_before_a_command_are_left_out(typed: list[str], command: list[str]) -> None:
    assert bare(typed) == command


def test_a_variable_is_set_passed_on_or_left_alone() -> None:
    here = {"HERE": "x", "EMPTY": ""}
    given = ["A=1", "B=", "C=a=b", "HERE", "EMPTY", "NOT_HERE"]
    assert variables(given, here) == {"A": "1", "B": "", "C": "a=b", "HERE": "x", "EMPTY": ""}
    assert variables(None, here) == {}


def parameters(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each with the words that lead to it."""
    for one in command.params:
        yield " ".join((*path, one.opts[0])), one
    for name, child in getattr(command, "commands", {}).items():
        yield from parameters(child, (*path, name))


@pytest.mark.parametrize(
    ("where", "one"), [*parameters(get_command(app))], ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_option_is_explained_and_nothing_of_that_is_taken_for_markup(where: str, one: Any) -> None:
    """The default of `lab up --dir` was, and that of `logs --since` was (): an empty string."""
    if not getattr(one, "hidden", False):
        assert one.help, where
        assert Text.from_markup(one.help).plain == one.help
        assert one.show_default != "", where
