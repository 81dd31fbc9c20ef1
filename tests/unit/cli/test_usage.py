"""A wrong command line is told as every other error is: what, where, what to do."""

from __future__ import annotations

import pytest

from bayplan.cli.console import told
from bayplan.cli.main import app

TOLD = {
    "upp": ("bayplan: there is no verb 'upp'", "did you mean up? bayplan --help has all of them"),
    "deploy": ("bayplan: there is no verb 'deploy'", "here that is bayplan up"),
    "history shwo 3": (
        "bayplan history: there is no verb 'shwo'",
        "did you mean show? bayplan history --help has all of them",
    ),
    "history build": ("bayplan history: there is no verb 'build'", "bayplan history --help tells more"),
    "up --bild": (
        "bayplan up: there is no option --bild",
        "did you mean --build or --file? bayplan up --help has all of them",
    ),
    "up --remove-orphans": (
        "bayplan up: there is no option --remove-orphans",
        "leave it out: what the file does not have any more always goes",
    ),
    "up --wait-timeout soon": ("bayplan up: --wait-timeout: must be a number", "bayplan up --help tells more"),
    "size --effort 0": ("bayplan size: --effort: must be 1 or more", "bayplan size --help tells more"),
    "lab fault kill h1": (
        "bayplan lab fault: KIND: 'kill' is not one of 'cut', 'heal', 'kill-engine', 'start-engine', 'slow'",
        "bayplan lab fault --help tells more",
    ),
    "exec": ("bayplan exec: SERVICE is missing", "bayplan exec --help tells more"),
    "ps web": ("bayplan ps: takes no 'web'", "bayplan ps --help tells more"),
}


@pytest.mark.parametrize("typed", TOLD)
def test_what_is_wrong_where_and_what_to_do(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bayplan", *typed.split()])
    assert told(app) == 2
    what, todo = TOLD[typed]
    assert capsys.readouterr().err == f"✗ {what}\n  {todo}\n"


@pytest.mark.parametrize("typed", ["--help", "up --help", "--version"])
def test_what_is_asked_for_is_no_error(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["python -m bayplan", *typed.split()])
    assert told(app) == 0
    said = capsys.readouterr()
    assert "bayplan" in said.out
    assert "python" not in said.out
