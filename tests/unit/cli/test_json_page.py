"""docs/reference/json.md: every verb that has --json is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from bayplan.cli.main import app

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "json.md").read_text()


def verbs(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """With their groups."""
    if any("--json" in option.opts for option in getattr(command, "params", ())):
        yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from verbs(child, (*path, name))


REPORTING = sorted(verbs(get_command(app)))


def test_there_are_some() -> None:
    assert {("ps",), ("volume", "ls"), ("lab", "status")} <= {*REPORTING}


@pytest.mark.parametrize("path", REPORTING, ids=" ".join)
def test_its_shape_is_told(path: tuple[str, ...]) -> None:
    assert f"`{' '.join(path)} --json`" in PAGE or f"`{path[0]} --json`" in PAGE
