"""Options that several verbs share."""

from __future__ import annotations

import pytest

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
