"""The lock in memory, for tests that are not about it; the contract suite holds it to the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bayplan.engines.lock import DYING, describe
from bayplan.errors import LockedError, LockLostError
from bayplan.ports import Claim, Hold


@dataclass
class MemoryLock:
    """One of these is one fleet's. holder: whose it is."""

    holder: MemoryHold | None = None

    async def take(self, claim: Claim, *, patience: float, gone: frozenset[str], say: Callable[[str], None]) -> Hold:
        """Raises LockedError."""
        del gone
        was_free = self.holder is None
        try:
            async with asyncio.timeout(max(patience, DYING) if patience < float("inf") else None):
                while self.holder is not None:
                    say(f"waits for {describe(self.holder.claim)}")
                    await self.holder.ended.wait()
        except TimeoutError as late:
            whose = self.holder.claim if self.holder else None
            raise LockedError(f"somebody else is changing the fleet: {describe(whose)}") from late
        self.holder = MemoryHold(self, claim, was_free)
        return self.holder


@dataclass
class MemoryHold:
    """ended: it is nobody's; lost: not because it was given back."""

    lock: MemoryLock
    claim: Claim
    was_free: bool
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_lost(self) -> LockLostError:
        await self.lost.wait()
        return LockLostError("the lock was lost", todo="run it again")

    async def release(self) -> None:
        if self.lock.holder is self:
            self.lock.holder = None
        self.ended.set()

    async def lose(self) -> None:
        """For tests: somebody took it away."""
        self.lost.set()
        await self.release()
