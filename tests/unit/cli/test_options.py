"""Options that several verbs share."""

from __future__ import annotations

import pytest

from bayplan.cli.options import bare


@pytest.mark.parametrize(
    ("typed", "command"),
    [(["--", "ls", "-l"], ["ls", "-l"]), (["ls", "--", "-l"], ["ls", "--", "-l"]), (["--", "--"], ["--"]), ([], [])],
)
def test_only_the_first_dashes_before_a_command_are_left_out(typed: list[str], command: list[str]) -> None:
    assert bare(typed) == command
