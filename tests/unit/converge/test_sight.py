"""What a look is worth, and when a host is asked again."""

from __future__ import annotations

import pytest
from tests.given import fleet
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan.converge.sight import ASK_AGAIN, Sight
from bayplan.errors import HostRefusedError, HostUnreachableError, NoHostError


@pytest.mark.parametrize("answers", [True, False])
def test_what_a_host_said_long_ago_when_it_was_asked_aside_is_no_answer_now(answers: bool) -> None:
    async def story() -> None:
        memory = MemoryFleet(fleet("h1", "h2"))
        engine, clock = memory.engines["h2"].inner, memory.ports.clock
        sight = Sight(memory.ports)
        engine.answers = False
        await sight.look()
        engine.answers = not answers
        await clock.sleep(ASK_AGAIN)
        await sight.look()  # asks it aside
        await clock.sleep(60)
        engine.answers = answers
        assert (await sight.look(whole=True)).hosts["h2"].reachable is answers

    run(story())


@pytest.mark.parametrize("error", [HostRefusedError, HostUnreachableError])
def test_a_host_that_let_us_not_in_is_told_from_one_that_is_silent(error: type[HostUnreachableError]) -> None:
    async def story() -> None:
        memory = MemoryFleet(fleet("h1", "h2"))
        memory.engines["h2"].fails["observe"].append(error("it is so", where="h2", todo="do this"))
        seen = (await Sight(memory.ports).look()).hosts["h2"]
        assert (seen.reachable, seen.why, seen.todo) == (False, "it is so", "do this")
        assert seen.refused is (error is HostRefusedError)
        for engine in memory.engines.values():
            engine.fails["observe"].append(error("it is so", where="h2"))
        told = "lets us in" if error is HostRefusedError else "answers"
        with pytest.raises(NoHostError, match=f"no host of the fleet {told}"):
            await Sight(memory.ports).look()

    run(story())
