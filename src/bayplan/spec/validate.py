"""A tree against a file model; what pydantic says against it becomes sentences with places."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, get_args, get_origin

from pydantic import ValidationError

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, along, kind, plain
from bayplan.spec.shapes import FileModel
from bayplan.spec.unsupported import refusal

M = TypeVar("M", bound=FileModel)
Path = tuple[str | int, ...]
_FEW = 25  # names that a line can hold
_FORMERLY: Final[Mapping[str, str]] = {  # keys of a service in versions 1 and 2, which docker compose refuses too
    "log_driver": "logging: {driver: …}",
    "log_opt": "logging: {options: {…}}",
    "net": "network_mode",
    "volume_driver": "driver: … of the volume, under volumes at the top",
}


def validate(model: type[M], node: Node, mistakes: Mistakes, path: tuple[str, ...] = ()) -> M | None:
    """The model of a tree, or None. path: where the tree stands in its file, for the sentences."""
    try:
        return model.model_validate(plain(node))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        misspelt = {_meant(model, one["loc"]) for one in found if one["type"] == "extra_forbidden"}
        for one in found:
            if one["type"] != "missing" or one["loc"] not in misspelt:
                _add(one, model, node, mistakes, path)
        return None


def _meant(model: type[FileModel], loc: Path) -> Path:
    """The path of the key that a misspelt one stands for: it is not missing as well."""
    return (*loc[:-1], _nearest(_model_at(model, loc[:-1]), str(loc[-1])) or "")


def _add(one: Mapping[str, Any], model: type[FileModel], root: Node, mistakes: Mistakes, path: tuple[str, ...]) -> None:
    loc: Path = one["loc"]
    way = list(along(root, loc))
    if any(node.broken for node in way):
        return
    place = way[-1].place
    if one["type"] == "extra_forbidden":
        what, todo = _unknown_key(_model_at(model, loc[:-1]), str(loc[-1]), _dotted((*path, *loc[:-1])))
    else:
        sentence, _, todo = _sentence(one).partition("\n")
        name = _dotted((*path, *loc))
        what = f"{name}: {sentence}" if name else sentence
    mistakes.add(what, place, todo)


def _unknown_key(model: type[FileModel] | None, key: str, where: str) -> tuple[str, str]:
    """What is told of a key that a model does not have, and what to do."""
    inside = f"{where}: " if where else ""
    if refused := refusal(model.__name__ if model else "", key):
        return f"{inside}{key} {refused[0]}", refused[1]
    return f"{inside}unknown key {key!r}", _what_to_do(model, key)


def _what_to_do(model: type[FileModel] | None, key: str) -> str:
    known = sorted(_keys(model))
    homes = _homes(model, key)
    if len(homes) == 1:
        return f"it is a key of {homes[0]}: write it there, indented further"
    if model is not None and model.__name__ == "ServiceFile" and key in _FORMERLY:
        return f"this is how it was written once: write {_FORMERLY[key]}"
    if near := _nearest(model, key):
        return f"did you mean {near!r}?"
    return f"known here: {', '.join(known)}" if len(known) <= _FEW else "correct it, or its indentation, or remove it"


def _homes(model: type[FileModel] | None, key: str) -> list[str]:
    """The keys of a map whose own maps have this one: it stands one level too far out."""
    return [
        field.alias or name
        for name, field in (model.model_fields if model else {}).items()
        if any(key in _keys(inner) for inner in _maps(field.annotation))
    ]


def _maps(annotation: Any) -> Iterator[type[FileModel]]:
    """The models that a field holds itself, and not in a list or under names."""
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        yield annotation
    elif get_origin(annotation) not in {list, tuple, dict}:
        for argument in get_args(annotation):
            yield from _maps(argument)


def _nearest(model: type[FileModel] | None, key: str) -> str | None:
    return next(iter(difflib.get_close_matches(key, _keys(model), n=1, cutoff=0.6)), None)


def _keys(model: type[FileModel] | None) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _sentence(one: Mapping[str, Any]) -> str:
    match one["type"]:
        case "value_error":
            return str(one["ctx"]["error"])
        case "missing":
            return "is required\nwrite it"
        case "literal_error":
            return f"must be {one['ctx']['expected']}, not {kind(one['input'])}"
        case "tuple_type" | "list_type":
            return f"must be a list, not {kind(one['input'])}"
        case _:
            return str(one["msg"])


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _model_at(model: type[FileModel], path: Path) -> type[FileModel] | None:
    """The model of the map at a path. A field holds one model at most, however deep in lists and maps."""
    found: type[FileModel] | None = model
    is_name = False  # a service may be called deploy
    for part in path:
        if found is None:
            return None
        if is_name:
            is_name = False
            continue
        field = next((f for n, f in found.model_fields.items() if part in {n, f.alias}), None)
        if field is not None:
            found = next(_models(field.annotation), None)
            is_name = _has_names(field.annotation)
    return found


def _has_names(annotation: Any) -> bool:
    """Whether the file chooses the keys of a map of models: of services, volumes, …"""
    inside = get_args(annotation)
    return (get_origin(annotation) is dict and any(_models(inside[1]))) or any(map(_has_names, inside))


def _models(annotation: Any) -> Iterator[type[FileModel]]:
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
