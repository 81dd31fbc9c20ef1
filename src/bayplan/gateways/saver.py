"""Writing the file a moment after the change: several changes are one write, and no change waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bayplan.errors import BayplanError

# A write costs the host's engine some 50 ms of a core, as much as starting a container does.
DELAY = 3.0
_CLOSING = 10.0


class Saver:
    """Calls `save` soon after it is told to. A save that fails is not told: the gateway's next look shows it."""

    def __init__(self, save: Callable[[], Awaitable[None]], delay: float = DELAY) -> None:
        self._save, self._delay = save, delay
        self._task: asyncio.Task[None] | None = None
        self._again = self._writing = False
        self._hurry = asyncio.Event()

    @property
    def is_due(self) -> bool:
        """Whether there is something that is yet to be written."""
        return self._task is not None

    def soon(self) -> None:
        """Something has changed."""
        if self._task is None:
            self._hurry.clear()
            self._task = asyncio.create_task(self._later())
            self._task.add_done_callback(self._ended)
        else:
            self._again = self._writing

    async def drop(self) -> None:
        """What was to be written is not to be any more; one that is being written is waited for."""
        self._again = False
        if self._task is not None:
            if not self._writing:
                self._task.cancel()
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Write now what is due."""
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSING)

    async def _later(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._delay)
            self._writing, self._again = True, False
            with suppress(BayplanError):
                await self._save()
            self._writing = False
            if not self._again:
                return

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._task, self._writing = None, False
