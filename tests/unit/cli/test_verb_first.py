"""Compose's options before the verb."""

from __future__ import annotations

import pytest

from bayplan.cli.main import verb_first


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("up -f a.yaml", "up -f a.yaml"),
        ("-f a.yaml -f b.yaml -p shop up --json", "up -f a.yaml -f b.yaml -p shop --json"),
        ("--file=a.yaml --profile=dev exec web ls -l", "exec --file=a.yaml --profile=dev web ls -l"),
        ("--fleet there.yaml image push web", "image push --fleet there.yaml web"),
        ("-f a.yaml", "-f a.yaml"),
        ("-f", "-f"),
        ("--version", "--version"),
        ("", ""),
    ],
)
def test_options_before_the_verb_are_the_verbs(given: str, means: str) -> None:
    assert verb_first(given.split()) == means.split()
