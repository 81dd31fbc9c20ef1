"""The choices that a verb has."""

from __future__ import annotations

from typer.testing import CliRunner

from bayplan.cli.lab import FaultKind
from bayplan.cli.main import app


def test_the_help_of_lab_fault_has_every_kind_whole() -> None:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["lab", "fault", "--help"])
    assert all(kind in done.output for kind in FaultKind)
