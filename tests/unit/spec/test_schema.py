from __future__ import annotations

import json
from pathlib import Path

import pytest

from bayplan.spec.schema import MODELS, json_schema

SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.mark.parametrize("name", list(MODELS))
def test_the_committed_schemas_are_in_step(name: str) -> None:
    """Write them anew with: bayplan config --schema NAME > schemas/NAME.json"""
    assert json.loads((SCHEMAS / f"{name}.json").read_text()) == json_schema(name)
