"""Looking at how dense a fleet of many apps could be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests import given
from tests.memory_fleet import MemoryFleet
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.facts import Facts
from bayplan.operate import repack
from bayplan.operate.bring import Wishes, converge
from bayplan.operate.release import required
from bayplan.ports import Release
from bayplan.spec.model import App, Resources

SECONDS = 0.2  # for a registry that is far away, to tell of one release


class FarReleases:
    """The first release of every app that is asked for."""

    async def numbers(self, _: str) -> tuple[int, ...]:
        return (1,)

    async def get(self, app: str, _: int) -> Release:
        await asyncio.sleep(SECONDS)
        web = App(name=app, services={"web": given.service()})
        return Release(1, app, web.model_dump_json(), "ann@laptop", 1e9, "up")


def test_the_releases_of_sixty_apps_are_read_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = given.fleet("h1", "h2")
    replicas = [given.replica(given.service(), 1, "h1", port=20000 + i, app=f"site{i}") for i in range(60)]

    async def seen(_: object) -> Facts:
        return given.facts(given.up("h1", *replicas), given.up("h2"))

    async def story() -> float:
        began = asyncio.get_running_loop().time()
        ports = replace(MemoryFleet(fleet).ports, releases=FarReleases())  # type: ignore[arg-type]
        found = await repack.propose(ports, None)
        assert found.used == ("h1",)
        return asyncio.get_running_loop().time() - began

    monkeypatch.setattr(repack, "observe", seen)
    assert run(story()) < 3 * SECONDS


@pytest.mark.usefixtures("no_threads")
def test_what_another_bayplan_made_serves_until_its_successor_does_while_others_move() -> None:
    """It was replaced by one of its own name, stop-first."""

    async def story() -> None:
        size = Resources(reserved_cpus=0.5)
        web, api = (
            given.service(n, ports=(given.ingress(p, p),), resources=size) for n, p in (("web", 80), ("api", 81))
        )
        world = await World().begin({"web": web, "api": api})
        there = await required(world.ports.releases, "shop")
        await converge(world.ports, there, Wishes(moves={("web", 1): "h1", ("api", 1): "h2"}), world._note)
        world.made_otherwise("shop-web-1-r1")
        shown = await repack.propose(world.ports, None)
        assert [(m.service, m.target) for m in shown.moves] == [("api", "h1")]
        done = await repack.carry_out(world.ports, shown, None, Wishes(), world._note)
        assert done.is_whole
        assert {r.name: r.host for r in (await world.memory.facts()).replicas()} == {
            "shop-web-1-r2": "h1",
            "shop-api-1-r2": "h1",
        }
        assert world.done.index(("ready", "shop-web-1-r2")) < world.done.index(("drain", "shop-web-1-r1"))

    run(story())
