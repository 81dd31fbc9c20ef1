"""Bringing an app up: what is built, and what a change of one app does for the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.given import fleet, ingress, service
from tests.memory_fleet import MemoryFleet
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.facts import GatewayFacts
from bayplan.operate.bring import Wishes, scale, up
from bayplan.operate.halt import restart, start
from bayplan.operate.release import current
from bayplan.plan.names import system_name
from bayplan.ports import Claim, Release
from bayplan.routing import Table
from bayplan.spec.model import App, Build
from bayplan.store import DirectoryReleases, OciReleases

pytestmark = pytest.mark.usefixtures("no_threads")


async def forget(memory: MemoryFleet, host: str) -> None:
    """Somebody removes its gateway, with the files."""
    await memory.engines[host].remove(system_name("gateway", "t"), 0)
    gateway = memory.gateways[host]
    gateway._table, gateway._pools, gateway._saved = Table(), {}, GatewayFacts()


@pytest.mark.parametrize("host", ["h1", "h2"])
@pytest.mark.parametrize("addressed", [True, False])
@pytest.mark.parametrize("verb", ["scale", "restart"])
def test_a_gateway_that_was_removed_leads_to_every_app_again_whichever_is_changed(
    host: str, addressed: bool, verb: str
) -> None:
    """h1 is the balancer; with addresses of their own, services are led to on both."""

    async def story() -> None:
        at = {name: f"198.18.1.{n}" if addressed else "" for n, name in enumerate(("web", "api"), 1)}
        api = service("api", ports=(ingress(81, 8081),), address=at["api"])
        world = await World().begin({"web": service("web", 4, address=at["web"]), "api": api})
        blog = App(name="blog", services={"site": service("site", ports=(ingress(82, 8082),))})
        await world.ports.releases.put(Release(1, "blog", blog.model_dump_json(), "ann", 0.0, "up"))
        await start(world.ports, "blog", Wishes(), lambda _: None)
        before = await world.memory.gateways[host].observe()
        await forget(world.memory, host)
        if verb == "scale":
            await scale(world.ports, "blog", {"site": 1}, Wishes(), lambda _: None)
        else:
            await restart(world.ports, "blog", Wishes(), lambda _: None)
        after = await world.memory.gateways[host].observe()
        assert after.table.listeners == before.table.listeners
        told = ({(p, s.server, s.state) for p, there in seen.pools.items() for s in there} for seen in (before, after))
        assert next(told) == next(told)

    run(story())


@pytest.mark.parametrize("addressed", [True, False])
def test_another_balancer_in_the_fleet_file_gets_the_listeners_of_every_app_whichever_is_brought_up(
    addressed: bool,
) -> None:
    async def story() -> None:
        address = "198.18.1.1" if addressed else ""
        world = await World().begin()
        site = service("site", 2, ports=(ingress(82, 8082),), address=address)
        blog = App(name="blog", services={"site": site})
        await world.ports.releases.put(Release(1, "blog", blog.model_dump_json(), "ann", 0.0, "up"))
        await start(world.ports, "blog", Wishes(), lambda _: None)
        balancer = world.ports.fleet.balancer.model_copy(update={"hosts": ("h2",)})
        world.ports = replace(world.ports, fleet=world.ports.fleet.model_copy(update={"balancer": balancer}))
        await world.do(start)
        for host, expected in (("h1", set[int]()), ("h2", {80, 81, 82})):
            table = (await world.memory.gateways[host].observe()).table
            assert {f.port for f in table.listeners if not f.is_inner} == expected

    run(story())


def test_what_is_built_on_the_only_engine_is_fetched_from_nowhere(tmp_path: Path) -> None:
    """Its images were listed before."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    app = App(name="shop", services={"web": service(image="", build=Build(context=str(tmp_path)))})

    async def story() -> None:
        memory = MemoryFleet(fleet("h1", local=True))
        ports = replace(memory.ports, releases=DirectoryReleases(tmp_path / "releases"))
        result = await up(ports, app, Wishes(), lambda _: None)
        assert result.outcome.is_whole, result.outcome.errors

    run(story())


def test_what_another_operator_released_meanwhile_is_what_is_scaled() -> None:
    """The release was read before the lock was held, and is not the newest any more."""

    async def story() -> tuple[int, dict[str, int]]:
        world = await World().begin()
        claim = Claim("bob", "scale", 0.0)
        bob = await world.ports.lock.take(claim, patience=0, gone=frozenset(), say=lambda _: None)
        ours = asyncio.create_task(scale(world.ports, "shop", {"web": 6}, Wishes(patience=60), lambda _: None))
        await asyncio.sleep(5)
        app = App(name="shop", services={"web": service("web", 4), "api": service("api", 3, ports=())})
        bobs = OciReleases(world.registry)  # as his own process has it
        await bobs.put(Release(2, "shop", app.model_dump_json(), "bob", 0.0, "scale api=3"))
        await bob.release()
        result = await ours
        newest = await current(bobs, "shop")
        assert newest is not None
        return result.goal.release, {name: one.replicas for name, one in newest.app.services.items()}

    assert run(story()) == (3, {"web": 6, "api": 3})
