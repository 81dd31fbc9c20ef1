"""What the files' own models are made of: strict types with sentences, and the base of maps with known keys."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bayplan.spec.node import kind, written
from bayplan.spec.words import split
from bayplan.units import parse_bytes, parse_cpus, parse_duration

T = TypeVar("T")
TEXT_OR_MAP: Final = "a string or a map (key: value)"
_TEXT_OR_LIST: Final = "a string or a list"


def wrong(what: str, todo: str = "") -> ValueError:
    """What a validator raises: a sentence, and what to do (`parts_of` takes them apart again)."""
    return ValueError(f"{what}\n{todo}")


class WrongKindError(ValueError):
    """A list where a map belongs, and the like: wrong whatever it is used for."""


def either(value: Any, forms: str, *kinds: type) -> Any:
    """A value that may have several forms. forms: all of them, for whoever wrote another. Raises ValueError."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise WrongKindError(f"must be {forms}, not {kind(value)}")
    return value


def long_form(value: Any, key: str) -> Any:
    """A map; of a string, the map that it is short for."""
    either(value, TEXT_OR_MAP, str, dict)
    return {key: value} if isinstance(value, str) else value


def flag_or_map(value: Any, key: str) -> Any:
    """A map; of true or false, the map with that alone."""
    try:
        return value if isinstance(value, dict) else {key: _flag(value)}
    except ValueError:
        raise WrongKindError(f"must be true or false, or a map (key: value), not {kind(value)}") from None


class FileModel(BaseModel):
    """A map of which every key is known. `x-*` keys are others', but for ours."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        protected_namespaces=(),  # no key of ours is pydantic's; looking took a third of the import
        json_schema_extra={"patternProperties": {"^x-": {}}},
    )

    @model_validator(mode="before")
    @classmethod
    def _without_extensions(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise WrongKindError(f"must be a map (key: value), not {kind(value)}")
        return {k: v for k, v in value.items() if not k.startswith("x-") or k == "x-bayplan"}


def _given(value: Any) -> Any:
    if value is None:
        raise wrong("has no value", "write one, or remove the key")
    return value


Maybe = Annotated[T | None, BeforeValidator(_given)]
"""May be left out, which is None; written with nothing after it is a mistake."""


def _text(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise WrongKindError(f'must be a string, not {kind(value)}\nput it in quotes: "{written(value)}"')
    if not isinstance(value, str):
        raise WrongKindError(f"must be a string, not {kind(value)}")
    return value


def _scalar(value: Any) -> Any:
    """A string, number or boolean as written; None stays."""
    if isinstance(value, dict | list):
        raise WrongKindError(f"must be a string, a number or a boolean, not {kind(value)}")
    return None if value is None else written(value)


def _item(value: Any) -> Any:
    """A string of a list; a number as written."""
    if value is None or isinstance(value, dict | list):
        raise WrongKindError(f"must be a string or a number, not {kind(value)}")
    return written(value)


def whole(value: Any) -> int:
    """A whole number, as a number or as its digits. Raises ValueError."""
    digits = written(value)
    if isinstance(value, bool | float) or not digits.removeprefix("-").isdecimal():
        raise ValueError(f"must be a whole number, not {kind(value)}")
    return int(digits)


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError(f"must be 0 or more, not {value}")
    return value


_TRUE = {"true", "yes", "y", "on"}
_FALSE = {"false", "no", "n", "off"}


def _flag(value: Any) -> Any:
    """Compose takes the words of YAML 1.1 too, where a key wants a boolean."""
    said = written(value).lower()
    if said not in _TRUE | _FALSE:
        raise ValueError(f"must be true or false, not {kind(value)}")
    return said in _TRUE


def _mode(value: Any) -> int:
    """Permission bits. A text is octal; a number is what YAML makes of it (0440 and 0o440 are octal)."""
    text = written(value).lower()
    is_octal = isinstance(value, str) or text.startswith("0")
    try:
        bits = int(text.replace("0o", "", 1), 8) if is_octal else int(text)
    except ValueError:
        bits = -1
    if isinstance(value, bool) or not 0 <= bits <= 0o7777:  # noqa: PLR2004
        raise wrong(f"must be permission bits, not {kind(value)}", 'write them in octal, such as "0440"')
    return bits


def quantity(value: Any) -> str:
    """What is to be read as one, as written. Raises ValueError."""
    return written(either(value, "a quantity", str, int, float))


def _list(value: Any) -> Any:
    if not isinstance(value, list):
        raise WrongKindError(f"must be a list, not {kind(value)}")
    return value


def _map(value: Any) -> Any:
    if not isinstance(value, dict):
        raise WrongKindError(f"must be a map (key: value), not {kind(value)}")
    return value


def _words(value: Any) -> Any:
    if value is None or isinstance(either(value, _TEXT_OR_LIST, str, list), list):
        return value
    try:
        return split(value)[0]
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}") from error


def _pairs(value: Any) -> Any:
    """A map, or a list of KEY=value, as a map."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, list):
        raise WrongKindError(f"must be a map (KEY: value) or a list of KEY=value, not {kind(value)}")
    found: dict[str, str | None] = {}
    for item in value:
        key, sign, content = written(item).partition("=")
        if item is None or isinstance(item, dict | list) or not key:
            raise _no_pair(item)
        found[key] = content if sign else None
    return found


def _no_pair(item: Any) -> ValueError:
    """YAML reads an entry with a colon and a space in it as a map."""
    what = f"must be a list of KEY=value, and holds {kind(item)}"
    if isinstance(item, dict) and item:
        return wrong(f"{what}: '{next(iter(item))}: …'", "put the entry in quotes: it has a colon and a space in it")
    return wrong(what)


def _many(value: Any) -> Any:
    return [value] if isinstance(either(value, _TEXT_OR_LIST, str, list), str) else value


Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str)]
Integer = Annotated[int, BeforeValidator(whole, json_schema_input_type=int | str)]
Natural = Annotated[
    int,
    BeforeValidator(lambda v: _not_negative(whole(v)), json_schema_input_type=Annotated[int, Field(ge=0)] | str),
]
Flag = Annotated[bool, BeforeValidator(_flag, json_schema_input_type=bool | str)]
Seconds = Annotated[float, BeforeValidator(lambda v: parse_duration(quantity(v)), json_schema_input_type=str)]
Memory = Annotated[int, BeforeValidator(lambda v: parse_bytes(quantity(v)), json_schema_input_type=str | int)]
Cores = Annotated[float, BeforeValidator(lambda v: parse_cpus(quantity(v)), json_schema_input_type=str | float)]
Words = Annotated[tuple[Text, ...] | None, BeforeValidator(_words, json_schema_input_type=str | list[str] | None)]
Value = Annotated[str | None, BeforeValidator(_scalar, json_schema_input_type=str | float | bool | None)]
Pairs = Annotated[
    dict[str, Value],
    BeforeValidator(_pairs, json_schema_input_type=dict[str, str | float | bool | None] | list[str]),
]
Scalars = Annotated[
    tuple[Annotated[str, BeforeValidator(_item)], ...],
    BeforeValidator(_many, json_schema_input_type=str | list[str | float]),
]
Mode = Annotated[int, BeforeValidator(_mode, json_schema_input_type=int | str)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_many, json_schema_input_type=str | list[str])]
List = Annotated[tuple[T, ...], BeforeValidator(_list)]
Map = Annotated[dict[str, T], BeforeValidator(_map)]
