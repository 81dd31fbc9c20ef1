"""Compose's options before the verb."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from bayplan.cli.main import app, verb_first


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("up -f a.yaml", "up -f a.yaml"),
        ("-f a.yaml -f b.yaml -p shop up --json", "up --file a.yaml --file b.yaml --project-name shop --json"),
        ("--file=a.yaml --profile=dev exec web ls -l", "exec --file=a.yaml --profile=dev web ls -l"),
        ("--fleet there.yaml image push web", "image push --fleet there.yaml web"),
        ("-f a.yaml history -n 2", "history --file a.yaml -n 2"),
        ("-f a.yaml history show 3", "history show --file a.yaml 3"),
        ("-f a.yaml history", "history --file a.yaml"),
        ("-f a.yaml logs -f web", "logs --file a.yaml -f web"),
        ("-f=a.yaml ps", "ps --file=a.yaml"),
        ("-f a.yaml", "-f a.yaml"),
        ("-f", "-f"),
        ("--version", "--version"),
        ("", ""),
    ],
)
def test_options_before_the_verb_are_the_verbs(given: str, means: str) -> None:
    assert verb_first(given.split()) == means.split()


def test_every_verb_has_the_long_names_of_what_is_moved_to_it() -> None:
    """A short one may be another option there: -f of logs."""
    for name, verb in _verbs("", typer.main.get_command(app)):
        options = {option: param.name for param in verb.params for option in param.opts}
        fields = {"files": "--file", "project": "--project-name", "profiles": "--profile", "fleet": "--fleet"}
        assert all(options.get(option) == field for field, option in fields.items() if field in options.values()), name


def _verbs(name: str, verb: Any) -> Iterator[tuple[str, Any]]:
    yield name, verb
    for sub, one in getattr(verb, "commands", {}).items():
        yield from _verbs(f"{name} {sub}", one)
