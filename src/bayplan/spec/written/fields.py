"""A field of a file's model: optional, and with what its key means here."""

from __future__ import annotations

from typing import Any

from pydantic import Field

_SPEC = "as the Specification says"


def key(means: str = _SPEC, *, alias: str | None = None) -> Any:
    """An optional key. means: for the reference page and for editors."""
    return Field(default=None, description=means, alias=alias)


def required(means: str = _SPEC) -> Any:
    """A key that must be there."""
    return Field(description=means)
