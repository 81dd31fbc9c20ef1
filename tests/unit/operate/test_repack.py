"""Looking at how dense a fleet of many apps could be."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests import given
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan.facts import Facts
from bayplan.operate import repack
from bayplan.ports import Release
from bayplan.spec.model import App

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
