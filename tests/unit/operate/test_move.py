"""A volume on its way to another host: whose containers stop for it, and go on when it stays."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.given import IMAGE, fleet, service
from tests.memory_fleet import MemoryFleet

from bayplan.container import Container, Mounted
from bayplan.converge.outcome import StepEvent
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import BayplanError, UsageError
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.bring import Wishes
from bayplan.operate.events import Event, OnEvent, Stage
from bayplan.operate.move import move
from bayplan.plan.goal import Goal
from bayplan.plan.replica import replica_container
from bayplan.plan.steps import subject
from bayplan.ports import Release
from bayplan.spec.model import App
from bayplan.spec.storage import Mount, Volume
from bayplan.store import OciReleases

MOUNT = Mount(kind="volume", source="data", target="/data")
DB = service("db", ports=(), mounts=(MOUNT,))
SHOP = App(name="shop", services={"db": DB}, volumes={"data": Volume(name="shop_data")})


class Slow(MemoryEngine):
    """Takes its time to stop a container, and goes on with that though nobody waits for it any more, as engines do."""

    def __init__(self, host: str, hub: MemoryHub) -> None:
        super().__init__(host, hub)
        self.asked, self._ending = asyncio.Event(), set[asyncio.Task[None]]()

    async def stop(self, name: str, grace: float | None) -> None:
        self.asked.set()
        ending = asyncio.create_task(self._end(name, grace))
        self._ending.add(ending)
        await asyncio.shield(ending)

    async def _end(self, name: str, grace: float | None) -> None:
        await asyncio.sleep(0.05)
        await super().stop(name, grace)

    async def ended(self) -> None:
        await asyncio.gather(*self._ending)

    def state(self, name: str) -> str:
        return self._container(name).state


class World:
    """Two hosts; on the first the volume, with the app's replica."""

    def __init__(self) -> None:
        memory = MemoryFleet(fleet("h1", "h2"))
        hub = MemoryHub(IMAGE, memory.fleet.gateway_image)
        self.engines = {name: Slow(name, hub) for name in memory.fleet.hosts}
        self.ports = replace(memory.ports, engines=self.engines, releases=OciReleases(MemoryRegistry()))

    async def begin(self) -> World:
        fleet, engine = self.ports.fleet, self.engines["h1"]
        for image in (IMAGE, fleet.gateway_image):
            await engine.pull(image, lambda _: None)
        made = replica_container(Goal(fleet, SHOP, 1), DB, 1, fleet.hosts["h1"], (), "")
        await engine.run(replace(made, name="shop-db-1-r1", image=IMAGE, network=""))
        await self.ports.releases.put(Release(1, "shop", SHOP.model_dump_json(), "ann", 0.0, "up"))
        return self

    async def move(self, on: OnEvent = lambda _: None) -> None:
        await move(self.ports, "shop", "data", "h2", Wishes(), on, lambda *_: None)


async def test_interrupted_while_its_services_stop_they_run_again_in_the_end() -> None:
    world = await World().begin()
    moving = asyncio.create_task(world.move())
    engine = world.engines["h1"]
    await engine.asked.wait()
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    await engine.ended()
    assert engine.state("shop-db-1-r1") == "running"


async def test_what_stops_for_it_and_that_it_is_copied_is_told_before_it_starts_elsewhere() -> None:
    world = await World().begin()
    events: list[Event] = []
    with suppress(BayplanError):  # this engine holds no container for a copy
        await world.move(events.append)
    told = [e.text if isinstance(e, Stage) else subject(e.step) for e in events if isinstance(e, Stage | StepEvent)]
    assert told[:3] == ["shop_data moves from h1 to h2", "shop-db-1-r1", "shop_data is copied and compared"]


async def test_what_is_another_app_s_is_neither_stopped_nor_removed_whatever_its_name_begins_with() -> None:
    world = await World().begin()
    engine = world.engines["h1"]
    await engine.run(Container("shop-admin-web-1-r1", IMAGE, mounts=(Mounted(MOUNT, "shop_data"),)))
    with pytest.raises(UsageError, match="mounted by shop-admin-web-1-r1, too"):
        await world.move()
    assert engine.state("shop-admin-web-1-r1") == "running"
