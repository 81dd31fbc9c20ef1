"""What should run, recorded in the fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Source:
    """The git commit that files are of, "" for none. dirty: and something in them that is not committed."""

    commit: str = ""
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """One immutable, numbered version of an app. spec: the resolved app as JSON, images pinned; at: Unix time.

    stopped: services that are not to run, with their containers kept.
    """

    number: int
    app: str
    spec: str
    by: str
    at: float
    why: str = ""
    source: Source = Source()
    stopped: tuple[str, ...] = ()


class Releases(Protocol):
    """What should run, recorded in the fleet. Every method raises RegistryError."""

    async def get(self, app: str, number: int) -> Release | None:
        """One of them. Raises UnreadableError for one that is damaged."""

    async def numbers(self, app: str) -> tuple[int, ...]:
        """All of them, ascending."""

    async def put(self, release: Release) -> None:
        """Record one. Its number must be new."""
