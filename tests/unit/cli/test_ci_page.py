"""docs/ci.md: what it tells people to write is YAML, and calls verbs and options that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PAGE = (Path(__file__).parents[3] / "docs" / "ci.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CALLS = sorted(
    set(re.findall(r"^\s*(?:- |run: |)bayplan ([a-z]+(?: --[a-z-]+ \d+)?)", "\n".join(EXAMPLES), re.MULTILINE))
)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_are_yaml(text: str) -> None:
    assert isinstance(yaml.safe_load(text), dict)


def test_there_is_one_of_each() -> None:
    assert len(EXAMPLES) == 2
    assert CALLS == ["diff", "up --wait-timeout 600"]


@pytest.mark.parametrize("call", CALLS)
def test_verbs_and_options_exist(call: str) -> None:
    argv = [sys.executable, "-m", "bayplan.cli.main", *call.split(), "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
