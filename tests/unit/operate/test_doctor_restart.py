"""Restart policies that somebody took, on a whole fleet in memory."""

from __future__ import annotations

import pytest
from tests.given import ingress, service
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.operate.doctor.restart import restart_findings
from bayplan.operate.halt import stop

pytestmark = pytest.mark.usefixtures("no_threads")

SERVICES = {
    "web": service("web", 2, restart="unless-stopped"),
    "once": service("once", ports=(ingress(81, 8081),), restart="no"),
}


async def told(world: World) -> list[tuple[str, str]]:
    """(host, what to do) of every finding."""
    facts = await world.memory.facts()
    found = [finding for host in facts.reachable() for finding in await restart_findings(world.ports, host)]
    assert all((f.level, f.check) == ("warn", "restart") for f in found)
    return [(f.where, f.todo.rpartition(": ")[2]) for f in found]


def test_who_lost_it_is_told_and_who_was_never_to_have_it_is_not() -> None:
    async def story() -> None:
        world = await World().begin(SERVICES)
        assert await told(world) == []
        await world.memory.engines["h1"].set_restart("shop-web-1-r1", "no")
        await world.memory.engines["h2"].set_restart("bayplan-gateway-t", "no")
        assert await told(world) == [
            ("h1", "docker update --restart=unless-stopped shop-web-1-r1"),
            ("h2", "docker update --restart=always bayplan-gateway-t"),
        ]

    run(story())


def test_a_service_that_is_stopped_is_to_have_none() -> None:
    async def story() -> None:
        world = await World().begin(SERVICES)
        await world.do(stop, "web")
        assert await told(world) == []

    run(story())
