"""docs/reference/json.md: every verb that has --json is in it, every kind of step, and all that `doctor` looks at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from typer.main import get_command

import bayplan.operate.doctor
from bayplan.cli.main import app
from bayplan.plan.steps import PoolChange, Step

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


def kinds() -> Iterator[str]:
    """Of steps, as `plan.steps.kind` has them."""
    for step in get_args(Step):
        yield from get_args(get_type_hints(PoolChange)["action"]) if step is PoolChange else [step.__name__.lower()]


@pytest.mark.parametrize("kind", [*kinds()])
def test_every_kind_of_step_is_told(kind: str) -> None:
    told = PAGE.partition("\n`kind` is ")[2].partition(".")[0]
    assert kind in told.replace("\n", " ").replace(",", " ").split()


def checks() -> set[str]:
    """What findings are made of."""
    found = set()
    for module in Path(bayplan.operate.doctor.__file__).parent.glob("*.py"):
        for call in ast.walk(ast.parse(module.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Finding":
                check = call.args[1]
                found |= {check.value} if isinstance(check, ast.Constant) else set()
    return found


@pytest.mark.parametrize("check", sorted(checks()))
def test_every_check_of_doctor_is_told(check: str) -> None:
    assert f"`{check}`" in PAGE.partition("## `doctor --json`")[2]
