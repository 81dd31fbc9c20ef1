"""Work side by side: every failure is collected, and what is no error of ours is raised when all have ended."""

from __future__ import annotations

import asyncio

import pytest

from bayplan.errors import BayplanError, EngineError, PartialError
from bayplan.operate.together import raise_failed, together


async def work(done: list[str], name: str, error: Exception | None = None, turns: int = 0) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    done.append(name)
    if error is not None:
        raise error


async def test_all_failures_are_told_and_all_the_rest_is_done() -> None:
    done: list[str] = []
    one, two = EngineError("no", where="h1"), EngineError("nor here", where="h2")
    failed = await together([work(done, "a", one), work(done, "b", turns=3), work(done, "c", two)])
    assert failed == (one, two)
    assert sorted(done) == ["a", "b", "c"]
    with pytest.raises(PartialError, match="not all") as told:
        raise_failed(failed, "not all of it could be removed")
    assert told.value.todo == f"{one}\n  {two}"


async def test_what_is_no_error_of_ours_is_raised_once_all_have_ended() -> None:
    done: list[str] = []
    with pytest.raises(KeyError):
        await together(
            [work(done, "a", KeyError("bug")), work(done, "b", BayplanError("no")), work(done, "c", turns=3)]
        )
    assert sorted(done) == ["a", "b", "c"]


async def test_nothing_failed_is_nothing_raised() -> None:
    raise_failed(await together([work([], "a")]), "not all of it")
