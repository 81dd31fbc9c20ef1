"""docs/reference/compose.md has every key of the Specification, with what the code does with it."""

from __future__ import annotations

import pytest
from scripts.compose_reference import PAGE, TABLES, keys, made
from tests.unit.spec.specification import KEYS

from bayplan.spec.shapes import FileModel
from bayplan.spec.unsupported import NEVER, NOT_YET

OURS = {"Extension", "HttpFile", "ProbeFile", "ExternalServiceFile", "ExternalTlsFile"}  # under x-bayplan
MODELS = {model.__name__: model for _, model in TABLES}


def test_the_page_is_in_step() -> None:
    """Write it anew with: .venv/bin/python scripts/compose_reference.py"""
    page = PAGE.read_text()
    assert page == made(page)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_each_key_of_the_specification_is_known(name: str) -> None:
    assert set(keys(MODELS[name])) - {"x-bayplan"} == set(KEYS[name].split())


def test_each_map_of_the_specification_has_a_table() -> None:
    assert set(MODELS) - OURS == set(KEYS)


def test_every_key_says_what_it_means() -> None:
    assert [(name, key) for name, model in MODELS.items() for key, means in keys(model).items() if not means] == []


def test_no_key_is_both_known_and_refused() -> None:
    refused = {(model, key) for table in (NOT_YET, NEVER) for model, names in table.items() for key in names}
    assert {model for model, _ in refused} <= set(MODELS)
    assert [(m, key) for m, key in refused if key in MODELS.get(m, FileModel).model_fields] == []
