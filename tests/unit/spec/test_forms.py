"""A value of another kind than a key takes: one mistake, which names every form that its schema has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from scripts.compose_reference import TABLES

from bayplan.errors import SpecError
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, Place
from bayplan.spec.shapes import FileModel
from bayplan.spec.validate import validate
from bayplan.spec.written.health import HealthcheckFile

_KINDS = {"array": "list", "object": "map", "integer": "number"}
_OTHERS = {"string": "x", "list": ["x"], "map": {"zz": "x"}, "number": 3, "boolean": True}
_WORDS = {"string": ("string", "all or"), "boolean": ("boolean", "true or false")}


def _forms() -> Iterator[Any]:
    """A key of each model that takes several forms, or whose entries do: what it takes, and a value of another kind."""
    for _, model in TABLES:
        schema = model.model_json_schema()
        defs = schema.get("$defs", {})
        [top] = _branches(schema, defs)
        for key, value in top["properties"].items():
            yield from _wrong(model, key, key, value, lambda one: one, defs)
            for branch in _branches(value, defs):
                if "items" in branch:
                    yield from _wrong(model, key, f"{key}[0]", branch["items"], lambda one: [one], defs)
                if isinstance(entry := branch.get("additionalProperties"), dict):
                    yield from _wrong(model, key, f"{key}.k", entry, lambda one: {"k": one}, defs)


def _wrong(model: type[FileModel], key: str, where: str, schema: Any, wrap: Any, defs: Any) -> Iterator[Any]:
    given = [branch.get("type") or "string" for branch in _branches(schema, defs)]
    kinds = {_KINDS.get(name, name) for name in given} - {"null"}
    takes = set(kinds)
    if "string" in kinds and ("number" in kinds) != ("boolean" in kinds):
        takes.remove("string")  # it is a number's digits, or true or false in words
    if len(takes) > 1:
        for kind in sorted(_OTHERS.keys() - kinds):
            yield pytest.param(model, {key: wrap(_OTHERS[kind])}, takes, id=f"{model.__name__}.{where}-{kind}")


def _branches(schema: Any, defs: Any) -> list[Any]:
    if "$ref" in schema:
        return _branches(defs[schema["$ref"].rpartition("/")[2]], defs)
    parts = schema.get("anyOf", ())
    return [branch for part in parts for branch in _branches(part, defs)] if parts else [schema]


@pytest.mark.parametrize(("model", "written", "takes"), list(_forms()))
def test_every_form_is_named(model: type[FileModel], written: dict[str, Any], takes: set[str]) -> None:
    [told] = _told(model, written)
    assert all(any(word in told for word in _WORDS.get(kind, (kind,))) for kind in takes), told


@pytest.mark.parametrize("test", [[{"CMD": "x"}], []])
def test_a_healthcheck_that_begins_with_no_word(test: Any) -> None:
    assert _told(HealthcheckFile, {"test": test}) == ["test: must start with CMD, CMD-SHELL or NONE when it is a list"]


def _told(model: type[FileModel], written: dict[str, Any]) -> list[str]:
    """What is told of the one key; the model may want others too."""
    mistakes = Mistakes()
    validate(model, _node(written), mistakes)
    with pytest.raises(SpecError) as caught:
        mistakes.raise_any()
    return [m.what for m in caught.value.mistakes if m.what.startswith(tuple(written))]


def _node(value: Any) -> Node:
    place = Place("compose.yaml", 1)
    if isinstance(value, dict):
        return Node({key: _node(child) for key, child in value.items()}, place)
    return Node([_node(child) for child in value] if isinstance(value, list) else value, place)
