"""Work side by side that is all brought to its end, whatever of it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from bayplan.errors import BayplanError, PartialError

T = TypeVar("T")


async def together(work: Iterable[Awaitable[object]]) -> tuple[BayplanError, ...]:
    """What failed of it. Raises, once all have ended, what is no error of ours."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for error in done:
        if isinstance(error, BaseException) and not isinstance(error, BayplanError):
            raise error
    return tuple(error for error in done if isinstance(error, BayplanError))


async def unless_refused(check: Coroutine[Any, Any, None], work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to, which is begun at once, and ended when the check raises. Where both fail, the check tells
    why.
    """
    checking, working = asyncio.create_task(check), asyncio.create_task(work)
    try:
        await asyncio.wait((checking, working), return_when=asyncio.FIRST_EXCEPTION)
        await checking
        return await working
    finally:
        checking.cancel()
        working.cancel()
        await asyncio.gather(checking, working, return_exceptions=True)


def raise_failed(failed: Sequence[BayplanError], what: str) -> None:
    """Raises PartialError that tells all of them, if there are any."""
    if failed:
        raise PartialError(what, todo="\n  ".join(str(error) for error in failed))
