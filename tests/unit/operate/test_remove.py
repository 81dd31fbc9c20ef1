"""Taking a fleet down that is half down already, or away."""

from __future__ import annotations

import asyncio

import pytest
from tests.given import fleet
from tests.memory_fleet import MemoryFleet

from bayplan.errors import NoHostError
from bayplan.operate.remove import down
from bayplan.plan.system import guard_container
from bayplan.ports import FleetPorts
from bayplan.spec.model import Registry


def a_fleet() -> tuple[MemoryFleet, FleetPorts]:
    """With a registry on h1 that is not there: to ask for a release would fail."""
    world = MemoryFleet(fleet("h1", "h2", registry=Registry(host="h1")))
    return world, world.ports


def test_down_all_that_was_cut_short_after_the_registry_went_is_finished() -> None:
    world, ports = a_fleet()

    async def story() -> set[str]:
        left = guard_container(world.fleet, world.fleet.hosts["h2"], None)
        await world.engines["h2"].pull(left.image, lambda _: None)
        await world.engines["h2"].run(left)
        result = await down(ports, "shop", lambda _: None, everything=True)
        assert result.outcome.is_whole
        return {c.role for h in (await world.facts()).hosts.values() for c in h.engine.system}

    assert asyncio.run(story()) == set()


def test_when_no_host_answers_that_is_what_is_told() -> None:
    world, ports = a_fleet()
    for engine in world.engines.values():
        engine.inner.answers = False
    with pytest.raises(NoHostError):
        asyncio.run(down(ports, "shop", lambda _: None))
