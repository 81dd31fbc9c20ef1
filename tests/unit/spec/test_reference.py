"""docs/reference/compose.md names every key that is supported and every key that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayplan.spec import compose_file
from bayplan.spec.shapes import FileModel
from bayplan.spec.unsupported import NEVER, NOT_YET

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "compose.md").read_text()
MODELS = {n: m for n, m in vars(compose_file).items() if isinstance(m, type) and issubclass(m, FileModel)}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_supported_keys_are_named(name: str) -> None:
    keys = [field.alias or key for key, field in MODELS[name].model_fields.items()]
    assert [key for key in keys if key not in PAGE] == []


@pytest.mark.parametrize("table", [NOT_YET, NEVER], ids=["not yet", "never"])
def test_refused_keys_are_named_and_not_supported(table: dict[str, dict[str, str]]) -> None:
    assert [key for keys in table.values() for key in keys if f"`{key}`" not in PAGE] == []
    assert [(m, key) for m, keys in table.items() for key in keys if key in MODELS.get(m, FileModel).model_fields] == []


def test_the_tables_name_models_that_there_are() -> None:
    assert set(NOT_YET) | set(NEVER) <= set(MODELS)
