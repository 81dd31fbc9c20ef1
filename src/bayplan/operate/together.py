"""Work side by side that is all brought to its end, whatever of it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from bayplan.errors import BayplanError, PartialError


async def together(work: Iterable[Awaitable[object]]) -> tuple[BayplanError, ...]:
    """What failed of it. Raises, once all have ended, what is no error of ours."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for error in done:
        if isinstance(error, BaseException) and not isinstance(error, BayplanError):
            raise error
    return tuple(error for error in done if isinstance(error, BayplanError))


def raise_failed(failed: Sequence[BayplanError], what: str) -> None:
    """Raises PartialError that tells all of them, if there are any."""
    if failed:
        raise PartialError(what, todo="\n  ".join(str(error) for error in failed))
