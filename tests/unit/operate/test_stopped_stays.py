"""What was stopped stays stopped, whatever else is gone back to."""

from __future__ import annotations

import pytest
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.operate.bring import Wishes, scale
from bayplan.operate.halt import stop
from bayplan.operate.rollback import rollback

pytestmark = pytest.mark.usefixtures("no_threads")


def test_a_rollback_starts_nothing_that_was_stopped() -> None:
    async def story() -> list[str]:
        world = await World().begin()
        await scale(world.ports, "shop", {"api": 2}, Wishes(), lambda _: None)
        await world.do(stop, "web")
        await rollback(world.ports, "shop", 1, Wishes(), lambda _: None)
        return [state for name, state in (await world.states()).items() if "web" in name]

    assert run(story()) == ["exited"] * 4
