"""Mistakes of form: what is wrong with a tree whatever it is used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, along, plain
from bayplan.spec.shapes import FileModel, WrongKindError
from bayplan.spec.unsupported import is_refused
from bayplan.spec.validate import validate


def check_form(model: type[FileModel], node: Node, mistakes: Mistakes, path: tuple[str, ...]) -> None:
    """Adds unknown keys and lists in the place of maps. What values mean, and what can be had, is not looked at."""
    try:
        model.model_validate(plain(node))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        meant = {id([*along(node, one["loc"])][-1]) for one in found if not _is_of_form(one)}
        validate(model, _silenced(node, meant), mistakes, path)


def _is_of_form(one: Mapping[str, Any]) -> bool:
    if one["type"] == "value_error":
        return isinstance(one["ctx"]["error"], WrongKindError)
    if one["type"] == "extra_forbidden":
        return not is_refused(str(one["loc"][-1]))
    return str(one["type"]) != "literal_error"  # the Specification may know more words than we take


def _silenced(node: Node, meant: set[int]) -> Node:
    """The tree, of whose nodes with these ids nothing is told."""
    value = node.value
    if isinstance(value, dict):
        value = {key: _silenced(child, meant) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_silenced(child, meant) for child in value]
    return replace(node, value=value, broken=node.broken or id(node) in meant)
