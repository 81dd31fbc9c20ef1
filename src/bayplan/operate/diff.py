"""What changes from one release of an app to another. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bayplan.spec.model import App

_NAMED = ("services", "networks", "volumes", "secrets", "configs")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing. where: "services.web"; key: "environment.MODE", "" for the whole; before, after: None where absent."""

    where: str
    kind: Literal["added", "removed", "changed"]
    key: str = ""
    before: Any = None
    after: Any = None


def changes(before: App, after: App) -> tuple[Change, ...]:
    """In the order of services, networks, volumes, secrets and configs, each by its name."""
    return tuple(
        change
        for part in _NAMED
        for name in sorted({*getattr(before, part), *getattr(after, part)})
        for change in _of_one(f"{part}.{name}", getattr(before, part).get(name), getattr(after, part).get(name))
    )


def summary(found: tuple[Change, ...]) -> tuple[str, ...]:
    """A few words each: "+ web", "- db", "web: image, replicas"."""
    keys: dict[str, list[str]] = {}
    for change in found:
        name = change.where.removeprefix("services.")
        sign = {"added": "+ ", "removed": "- ", "changed": ""}[change.kind]
        first = change.key.partition(".")[0]
        words = keys.setdefault(sign + name, [])
        if first and first not in words:
            words.append(first)
    return tuple(f"{name}: {', '.join(words)}" if words else name for name, words in keys.items())


def _of_one(where: str, before: Any, after: Any) -> Iterator[Change]:
    if before is None or after is None:
        yield Change(where, "added" if before is None else "removed", after=_plain(after), before=_plain(before))
        return
    old, new = dict(_leaves("", _plain(before))), dict(_leaves("", _plain(after)))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Change(where, "changed", key, old.get(key), new.get(key))


def _plain(value: Any) -> Any:
    """Without its name, and what the file leaves out."""
    if value is None:
        return None
    return value.model_dump(mode="json", exclude_defaults=True, exclude={"name", "check"})  # check: a secret's hash


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value by its path; a list is one value."""
    if not isinstance(value, Mapping) or not value:
        yield path, value
        return
    for key, child in value.items():
        yield from _leaves(f"{path}.{key}" if path else str(key), child)
