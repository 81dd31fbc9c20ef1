"""Whose containers are stopped, and removed, for a volume that is moved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.given import IMAGE, fleet, service
from tests.memory_fleet import MemoryFleet

from bayplan.errors import UsageError
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.bring import Wishes
from bayplan.operate.move import move
from bayplan.plan.goal import Goal
from bayplan.plan.replica import replica_container
from bayplan.ports import Release
from bayplan.spec.model import App
from bayplan.spec.storage import Mount, Volume
from bayplan.store import OciReleases

DB = service("db", ports=(), mounts=(Mount(kind="volume", source="data", target="/data"),))


def app(name: str, *, external: bool = False) -> App:
    return App(name=name, services={"db": DB}, volumes={"data": Volume(name="shop_data", external=external)})


async def test_those_of_an_app_whose_name_begins_alike_are_not() -> None:
    memory = MemoryFleet(fleet("h1", "h2"))
    engines = {name: busy.inner for name, busy in memory.engines.items()}
    ports, engine = replace(memory.ports, engines=engines, releases=OciReleases(MemoryRegistry())), engines["h1"]
    for each in engines.values():
        for image in (IMAGE, ports.fleet.gateway_image):
            await each.pull(image, lambda _: None)
    for one in (app("shop"), app("shop-blog", external=True)):
        made = replica_container(Goal(ports.fleet, one, 1), DB, 1, ports.fleet.hosts["h1"], (), "")
        await engine.run(replace(made, network=""))
        await ports.releases.put(Release(1, one.name, one.model_dump_json(), "ann", 0.0, "up"))
    with pytest.raises(UsageError, match="is mounted by shop-blog-db-1-r1, too"):
        await move(ports, "shop", "data", "h2", Wishes(), lambda _: None, lambda *_: None)
    assert [engine._container(f"{name}-db-1-r1").state for name in ("shop", "shop-blog")] == ["running", "running"]
