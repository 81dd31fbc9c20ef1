"""The lock while it is ours: its containers kept alive, and others won for hosts that fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bayplan.engines.ballot import let_go
from bayplan.errors import BayplanError, DeadlineError, HostUnreachableError, LockLostError
from bayplan.ports import HeldContainer

# Seconds until those are started that others could make up for: as long as a run takes that starts some ten containers
# a host. With `hold.START` and `lock.MAKE_UP`, less than `lock.STUCK`.
LATER = 5.0


@dataclass(frozen=True, slots=True)
class Others:
    """What a hold does on hosts that it has not. clear: takes away what nobody holds; another: wins one that is not in
    the set; is_silent: whether a host does not answer; rest: what was asked and is not wanted ends.
    """

    clear: Callable[[], Coroutine[Any, Any, None]]
    another: Callable[[Iterable[str]], Awaitable[tuple[str, HeldContainer] | None]]
    is_silent: Callable[[str], Awaitable[bool]]
    rest: Callable[[], Awaitable[None]]


class EngineHold:
    """The lock on these hosts. It is lost when they are not most any more: from then on another may have it.

    later: hosts whose container need not run at once.
    """

    def __init__(
        self,
        held: Mapping[str, HeldContainer],
        need: int,
        *,
        later: frozenset[str],
        others: Others,
        was_free: bool,
    ) -> None:
        self.was_free = was_free
        self._others = others
        self._need, self._later = need, later
        self._held: dict[str, HeldContainer] = {}
        self._why: dict[str, str] = {}
        self._hurry, self._mending = asyncio.Event(), asyncio.Lock()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._clearing = asyncio.create_task(others.clear())
        self._watching = {self._clearing}
        for host, one in held.items():
            self._add(host, one)

    async def until_lost(self) -> LockLostError:
        why = await asyncio.shield(self._lost)
        return LockLostError(
            f"the lock was lost: {why}",
            todo="somebody else may be changing the fleet by now; the next run finishes what was begun, or undoes it",
        )

    async def release(self) -> None:
        await _end(self._watching)
        await asyncio.gather(let_go(self._held.values()), self._others.rest())
        self._held.clear()

    def _add(self, host: str, held: HeldContainer) -> None:
        self._held[host] = held
        watching = asyncio.create_task(self._watch(host, held))
        watching.add_done_callback(self._unwatched)
        self._watching.add(watching)

    def _unwatched(self, task: asyncio.Task[None]) -> None:
        """What went wrong and is no error of ours: nobody would hear that the lock is lost."""
        if not task.cancelled() and (error := task.exception()) and not self._lost.done():
            self._lost.set_result(f"{type(error).__name__}: {error}")

    async def _watch(self, host: str, held: HeldContainer) -> None:
        why = "its container is gone"
        try:
            if host in self._later:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LATER):
                        await self._hurry.wait()
            await held.live()
            is_silent = held.is_sure and await self._others.is_silent(host)
        except (HostUnreachableError, DeadlineError) as error:
            why, is_silent = error.what, held.is_sure  # if not, it was hung itself: not a moment more
        except BayplanError as error:
            why, is_silent = error.what, False
        self._why[host] = why
        self._held.pop(host, None)
        is_kept = await self._made_up(held) if is_silent else len(self._held) >= self._need
        if not is_kept and not self._lost.done():
            self._lost.set_result("; ".join(f"{h}: {w}" for h, w in self._why.items()))
        with suppress(BayplanError):
            await held.let_go()

    async def _made_up(self, held: HeldContainer) -> bool:
        """Whether others are ours instead of a host that fell silent, and were before that one could be another's.
        Whoever was hung itself knows nothing of what happened meanwhile.
        """
        async with self._mending:
            await _end([self._clearing])  # it would take away what is won now
            while len(self._held) < self._need:
                self._hurry.set()
                won = await self._others.another({*self._held, *self._why})
                if won is None:
                    return False
                self._add(*won)
        return held.is_sure


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = tuple(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
