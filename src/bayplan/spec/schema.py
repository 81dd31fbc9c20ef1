"""JSON Schemas of both files for editors, made of the models that check them."""

from __future__ import annotations

from typing import Any, Final

from bayplan.spec.fleet_file import FleetFile
from bayplan.spec.shapes import FileModel
from bayplan.spec.written import ComposeFile

MODELS: Final[dict[str, type[FileModel]]] = {"compose": ComposeFile, "fleet": FleetFile}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TITLES = {"compose": "Compose file, as far as bayplan supports it", "fleet": "fleet.yaml of bayplan"}


def json_schema(file: str) -> dict[str, Any]:
    """The schema of "compose" or "fleet" (JSON Schema 2020-12). Any string may hold ${VARIABLES}; see the reference."""
    made = _tidy(MODELS[file].model_json_schema(mode="validation", by_alias=True))
    return {"$schema": _DIALECT, **made, "title": _TITLES[file]}


def _tidy(value: Any) -> Any:
    """Without pydantic's titles and null defaults: an optional key may be left out, not be empty."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _tidy(child) for key, child in value.items() if not (key == "title" and isinstance(child, str))}
    if kept.get("default", "") is None:
        del kept["default"]
        kept = _without_null(kept)
    return kept


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    rest = {key: child for key, child in schema.items() if key != "anyOf"}
    if len(choices) == 1:
        return {**choices[0], **rest}
    return {**rest, "anyOf": choices} if choices else rest
