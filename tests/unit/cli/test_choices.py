"""What a verb says of a choice that is none."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from bayplan.cli.lab import FaultKind
from bayplan.cli.main import app


@pytest.mark.parametrize("typed", ["lab fault kill h1", "lab up --engine kill", "config --schema kill"])
def test_a_choice_that_is_none_is_told_in_plain_words(typed: str) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, typed.split())
    assert done.exit_code == 2
    assert "'kill' is not one of " in done.output
    assert "Value error" not in done.output


def test_the_help_of_lab_fault_has_every_kind_whole() -> None:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["lab", "fault", "--help"])
    assert all(kind in done.output for kind in FaultKind)
