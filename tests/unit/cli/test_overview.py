"""Each `--help`, on terminals of several widths."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from bayplan.cli.main import app


def verbs(command: Any, ctx: Any) -> Iterator[tuple[str, Any]]:
    yield ctx.command_path, ctx
    for name, child in getattr(command, "commands", {}).items():
        yield from verbs(child, child.context_class(child, info_name=name, parent=ctx))


TOP = get_command(app)
EVERY = [*verbs(TOP, TOP.context_class(TOP, info_name="bayplan"))]


def page(ctx: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert shutil.get_terminal_size().columns == columns
    ctx.command.format_help(ctx, ctx.make_formatter())
    return capsys.readouterr().out


@pytest.mark.parametrize(("name", "ctx"), EVERY, ids=[name for name, _ in EVERY])
def test_every_verb_explains_itself_within_the_terminal(
    name: str, ctx: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in (40, 80, 200):
        told = page(ctx, capsys, monkeypatch, columns)
        assert name == "bayplan" or max(map(len, told.splitlines())) <= columns
    for one in ctx.command.get_params(ctx):
        if not getattr(one, "hidden", False) and name != "bayplan":
            assert max(one.opts, key=len) in told or one.param_type_name == "argument"
    assert "<" not in told, "a type of Python's is no word of a sysadmin's"


def test_an_option_has_its_value_its_default_and_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = page(dict(EVERY)["bayplan up"], capsys, monkeypatch, 200)
    assert "bayplan up [OPTIONS] [SERVICE]...\n" in told
    assert "-f, --file FILE          Compose file; several merge in order. (default: compose.yaml; may be" in told
    assert "BAYPLAN_FLEET" in told
    assert "--build                  Build" in told


@pytest.mark.parametrize(
    ("verb", "usage"),
    [
        ("run", "bayplan run [OPTIONS] [SERVICE [COMMAND]]..."),
        ("exec", "bayplan exec [OPTIONS] SERVICE COMMAND..."),
        ("volume move", "bayplan volume move [OPTIONS] VOLUME"),
        ("volume", "bayplan volume [OPTIONS] VERB"),
        ("history", "bayplan history [OPTIONS] [VERB]"),
    ],
)
def test_usage_is_as_in_a_manual(
    verb: str, usage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page(dict(EVERY)[f"bayplan {verb}"], capsys, monkeypatch, 80).splitlines()[0] == usage


def test_choices_and_numbers_are_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = page(dict(EVERY)["bayplan lab up"], capsys, monkeypatch, 80)
    assert "--engine debian12|debian13" in lab
    assert "(default: 3)" in lab
    assert "--seconds SECONDS" in page(dict(EVERY)["bayplan size"], capsys, monkeypatch, 80)
