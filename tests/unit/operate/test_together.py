"""Work side by side: every failure is collected, and what is no error of ours is raised when all have ended."""

from __future__ import annotations

import asyncio

import pytest

from bayplan.errors import BayplanError, EngineError, PartialError, PortTakenError
from bayplan.operate.together import raise_failed, together, unless_refused


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


TAKEN = PortTakenError("another has port 80")


async def test_what_is_checked_meanwhile_is_done_once_it_is_known_to_be_right() -> None:
    done: list[str] = []
    assert await unless_refused(work(done, "check", turns=3), result(done)) == "made"
    assert done == ["work", "check"]


async def test_what_is_refused_is_ended_at_once() -> None:
    done: list[str] = []
    with pytest.raises(PortTakenError):
        await unless_refused(work(done, "check", TAKEN, turns=3), result(done, turns=100))
    assert done == ["check", "ended"]


async def test_what_fails_before_it_is_refused_is_refused() -> None:
    failing = work([], "work", EngineError("no room"))
    with pytest.raises(PortTakenError):
        await unless_refused(work([], "check", TAKEN, turns=3), failing)
    with pytest.raises(EngineError, match="no room"):
        await unless_refused(work([], "check", turns=3), work([], "work", EngineError("no room")))


async def result(done: list[str], turns: int = 0) -> str:
    try:
        await work(done, "work", turns=turns)
    except asyncio.CancelledError:
        done.append("ended")
        raise
    return "made"
