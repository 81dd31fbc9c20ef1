"""What `run` makes, and where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.given import IMAGE, fleet, service
from tests.memory_fleet import OTHER_IMAGE, MemoryFleet
from tests.virtual_time import run

from bayplan import labels
from bayplan.container import Container
from bayplan.errors import NoHostError, UsageError
from bayplan.facts import EngineFacts
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.oneoff import Wish, prepare_run
from bayplan.plan.goal import Goal
from bayplan.ports import Credentials, FleetPorts, Release
from bayplan.spec.model import App, Service
from bayplan.spec.storage import Mount, Volume
from bayplan.store import OciReleases

WEB = service(environment={"A": "1"}, command=("serve",), restart="always")


class World:
    """Release 1 with one replica of web, on h1."""

    def __init__(self, services: dict[str, Service] | None = None, volumes: dict[str, Volume] | None = None) -> None:
        self.app = App(name="shop", services=services or {"web": WEB}, volumes=volumes or {})
        self.memory = MemoryFleet(fleet("h1", "h2"))
        registry = MemoryRegistry()
        self.ports: FleetPorts = replace(self.memory.ports, releases=OciReleases(registry), registry=registry)

    async def begin(self) -> World:
        await self.ports.releases.put(Release(1, "shop", self.app.model_dump_json(), "ann", 0.0, "up"))
        await self.memory.up(Goal(self.memory.fleet, self.app, 1))
        return self

    async def prepare(self, **wish: Any) -> tuple[str, Container]:
        return await prepare_run(self.ports, "shop", Wish(**wish), lambda _: None)


@pytest.mark.usefixtures("no_threads")
def test_an_image_of_the_registry_s_server_is_pulled_with_its_login() -> None:
    """Under whatever folder of it: as `up` pulls it."""

    async def story() -> None:
        world = await World().begin()
        registry = MemoryRegistry("registry.example.com/shop")
        registry.login = Credentials("registry.example.com", "ann", "secret")
        world.ports = replace(world.ports, registry=registry)
        pulled: list[tuple[str, Credentials | None]] = []

        async def pull(image: str, _on: object, login: Credentials | None = None) -> None:
            pulled.append((image, login))

        for engine in world.memory.engines.values():
            engine.inner.pull = pull  # type: ignore[method-assign, assignment]
        for image in ("registry.example.com/tools/psql:16", "example.com/psql:16"):
            await world.prepare(image=image)
        assert pulled == [("registry.example.com/tools/psql:16", registry.login), ("example.com/psql:16", None)]

    run(story())


def test_it_has_what_the_service_has_and_is_no_replica() -> None:
    async def story() -> None:
        world = await World().begin()
        host, made = await world.prepare(service="web", command=("sh",), environment={"B": "2"})
        assert host == "h1"  # where a replica is
        assert (made.image, made.command, made.restart, made.ports) == (IMAGE, ("sh",), "no", ())
        assert made.environment["A"] + made.environment["B"] == "12"
        assert made.environment["BAYPLAN_REPLICA"] == "web-run"
        assert (made.network, made.labels[labels.ROLE]) == ("t-shop", "run")
        before = await world.memory.names()
        await world.memory.engines["h1"].run(made)
        assert await world.memory.names() == before

    run(story())


def test_its_own_command_stays_and_what_is_asked_for_replaces() -> None:
    async def story() -> None:
        world = await World().begin()
        assert (await world.prepare(service="web"))[1].command == ("serve",)
        _, made = await world.prepare(service="web", entrypoint="/bin/sh", user="1", workdir="/w")
        assert (made.entrypoint, made.user, made.working_dir) == (("/bin/sh",), "1", "/w")

    run(story())


def test_on_another_host_it_gets_its_image_and_network_there() -> None:
    async def story() -> None:
        world = await World().begin()
        host, made = await world.prepare(service="web", host="h2")
        assert (host, list(made.binds)) == ("h2", ["/var/lib/bayplan/t/names/shop/web"])
        await world.memory.engines["h2"].run(made)

    run(story())


def test_where_no_replica_is_it_knows_the_others_by_name_all_the_same() -> None:
    async def story() -> None:
        world = await World({"web": WEB.model_copy(update={"address": "198.18.0.7"})}).begin()
        for gateway in world.memory.gateways.values():
            gateway._table = replace(gateway._table, names=())
        _, made = await world.prepare(service="web", host="h2")
        assert (made.binds, made.options.extra_hosts) == ({}, ("web=198.18.0.7",))
        _, made = await world.prepare(image=OTHER_IMAGE)
        assert made.options.extra_hosts == ("web=198.18.0.7",)

    run(story())


def test_a_service_with_a_volume_runs_where_that_is() -> None:
    async def story() -> None:
        db = WEB.model_copy(update={"mounts": (Mount(kind="volume", source="data", target="/d"),)})
        world = await World({"web": db}, {"data": Volume(name="shop_data")}).begin()
        home = (await world.prepare(service="web"))[0]
        other = next(h for h in ("h1", "h2") if h != home)
        with pytest.raises(UsageError, match="its volume shop_data is not there"):
            await world.prepare(service="web", host=other)

    run(story())


@pytest.mark.usefixtures("no_threads")
def test_it_runs_where_its_image_can(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        world = await World(
            {"web": WEB.model_copy(update={"image_architectures": ("aarch64",), "replicas": 0})}
        ).begin()
        for name, kind in (("h1", "x86_64"), ("h2", "aarch64")):
            engine = world.memory.engines[name]
            monkeypatch.setattr(engine, "observe", partial(of_kind, engine.observe, kind))
        assert (await world.prepare(service="web"))[0] == "h2"
        with pytest.raises(UsageError, match="web cannot run on h1: its image is for aarch64, and the host is x86_64"):
            await world.prepare(service="web", host="h1")
        assert (await world.prepare(service="web", image=OTHER_IMAGE, host="h1"))[0] == "h1"

    run(story())


async def of_kind(observe: Callable[..., Awaitable[EngineFacts]], kind: str, *given: Any, **more: Any) -> EngineFacts:
    """What an engine tells, on hardware of that kind."""
    return replace(await observe(*given, **more), arch=kind)


def test_an_image_alone_needs_no_release() -> None:
    async def story() -> None:
        world = World()
        host, made = await world.prepare(image=OTHER_IMAGE, command=("bash",))
        await world.memory.engines[host].run(made)
        assert labels.SLOT not in made.labels

    run(story())


def test_what_is_not_there_is_told() -> None:
    async def story() -> None:
        with pytest.raises(UsageError, match="not up on this fleet"):
            await World().prepare(service="web")
        world = await World().begin()
        with pytest.raises(UsageError, match="no service nope"):
            await world.prepare(service="nope")
        with pytest.raises(UsageError, match="no host h9"):
            await world.prepare(service="web", host="h9")
        world.memory.engines["h2"].inner.answers = False
        with pytest.raises(NoHostError, match="h2 does not answer"):
            await world.prepare(service="web", host="h2")

    run(story())
