"""A registry that fails while images are pushed to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.given import fleet
from tests.virtual_time import VirtualClock, run

from bayplan import images
from bayplan.errors import ImageError, PartialError, RegistryError
from bayplan.operate.events import Event
from bayplan.operate.prepare import prepared
from bayplan.ports import Transfer
from bayplan.spec.model import App, Registry

SHOP = App(name="shop", services={})


class World:
    """Images that cannot be pushed until the registry was mended `needs` times; an engine tries for a minute."""

    def __init__(self, patch: pytest.MonkeyPatch, needs: int, registry: Registry) -> None:
        self.needs, self.mended, self.told = needs, 0, list[Event]()
        clock = VirtualClock()
        self.ports: Any = SimpleNamespace(fleet=fleet("h1", registry=registry), registry=self, clock=clock)
        patch.setattr(images, "prepare", self.prepare)

    async def prepare(self, app: App, _: object, __: object, on: Callable[..., None], **___: object) -> App:
        for again in (5, 10, 15, 20):
            on("web", Transfer("abc", again=again))
            await asyncio.sleep(again)
            if self.mended >= self.needs:
                return app
        raise ImageError("shop:1 cannot be pushed: connection refused")

    async def ping(self) -> None:
        """It, as the registry's client."""
        if self.mended < self.needs:
            raise RegistryError("the registry does not answer")

    async def mend(self) -> None:
        self.mended += 1
        if self.mended < self.needs:
            raise PartialError("h1 is not ready")

    async def prepared(self) -> App:
        return await prepared(
            self.ports,
            SHOP,
            None,
            self.told.append,
            self.mend,
            force_build=False,
            pull=False,
            secrets={},  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("needs", [1, 2])
def test_it_is_started_again_while_the_engine_still_tries(monkeypatch: pytest.MonkeyPatch, needs: int) -> None:
    world = World(monkeypatch, needs, Registry(host="h1"))
    assert run(world.prepared()) == SHOP
    assert (world.mended, len(world.told)) == (needs, needs)


def test_where_the_engine_does_not_try_again_all_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1, Registry(host="h1"))

    async def prepare(app: App, *_: object, **__: object) -> App:
        await world.ping()
        return app

    monkeypatch.setattr(images, "prepare", prepare)
    assert run(world.prepared()) == SHOP
    assert world.mended == 1


def test_what_fails_though_the_registry_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 0, Registry(host="h1"))

    async def prepare(*_: object, **__: object) -> App:
        raise ImageError("there is no image nope")

    monkeypatch.setattr(images, "prepare", prepare)
    with pytest.raises(ImageError, match="nope"):
        run(world.prepared())
    assert world.mended == 0


def test_one_that_is_not_the_fleet_s_own_is_left_to_who_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1, Registry(address="registry.example.com/shop"))
    with pytest.raises(ImageError):
        run(world.prepared())
    assert world.mended == 0
