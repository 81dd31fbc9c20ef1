"""One operator at a time on a fleet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bayplan.errors import LockLostError


@dataclass(frozen=True, slots=True)
class Claim:
    """Who changes the fleet, doing what ("up site"), since when (Unix time)."""

    by: str
    doing: str
    at: float


class Hold(Protocol):
    """The lock while it is ours. was_free: nobody else had it when it was asked for."""

    was_free: bool

    async def until_lost(self) -> LockLostError:
        """Wait, without end, until it is not ours any more; why."""

    async def release(self) -> None:
        """Give it back."""


class Lock(Protocol):
    """One operator at a time on a fleet. It vanishes with its holder."""

    async def take(self, claim: Claim, *, patience: float, gone: frozenset[str], say: Callable[[str], None]) -> Hold:
        """Ours, at once or as soon as whoever has it lets go. patience: seconds for that; gone: hosts judged down,
        which have no vote; say: told what it waits for. Raises LockedError, NoMajorityError.
        """
