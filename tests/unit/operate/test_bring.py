"""Bringing an app up: what is built, and what a change of one app does for the others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.given import fleet, ingress, service
from tests.memory_fleet import MemoryFleet, SilentGateway
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.errors import PortTakenError
from bayplan.facts import GatewayFacts
from bayplan.operate.bring import Wishes, scale, up
from bayplan.operate.events import Event, Stage
from bayplan.operate.halt import restart, start
from bayplan.operate.release import current
from bayplan.plan.names import system_name
from bayplan.ports import Claim, Release
from bayplan.routing import Table
from bayplan.spec.model import App, Build, Update
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


def test_what_another_bayplan_made_of_another_app_serves_until_its_successor_does_when_it_is_led_to_again() -> None:
    """It was replaced by one of its own name, stop-first."""

    async def story() -> None:
        world = await World().begin()
        blog = App(name="blog", services={"site": service("site", ports=(ingress(82, 8082),), address="198.18.1.1")})
        await world.ports.releases.put(Release(1, "blog", blog.model_dump_json(), "ann", 0.0, "up"))
        await start(world.ports, "blog", Wishes(), lambda _: None)
        world.made_otherwise("blog-site-1-r1")
        await forget(world.memory, "h1")
        await scale(world.ports, "shop", {"web": 5}, Wishes(), world._note)
        assert world.done.index(("ready", "blog-site-1-r2")) < world.done.index(("drain", "blog-site-1-r1"))

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


def test_whether_ports_are_free_is_asked_while_images_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    app, made = App(name="shop", services={"web": service()}), asyncio.Event()

    async def check(*_: object) -> None:
        async with asyncio.timeout(60):
            await made.wait()

    async def prepared(*_: object, **__: object) -> App:
        made.set()
        return app

    monkeypatch.setattr("bayplan.operate.bring.doors.check", check)
    monkeypatch.setattr("bayplan.operate.bring.prepared", prepared)

    async def story() -> None:
        result = await up(World().ports, app, Wishes(), lambda _: None)
        assert result.outcome.is_whole, result.outcome.errors

    run(story())


def test_nothing_is_released_where_a_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(*_: object) -> None:
        raise PortTakenError("another has port 80")

    monkeypatch.setattr("bayplan.operate.bring.doors.check", check)

    async def story() -> tuple[int, ...]:
        world = World()
        with pytest.raises(PortTakenError):
            await up(world.ports, App(name="shop", services={"web": service()}), Wishes(), lambda _: None)
        return await world.ports.releases.numbers("shop")

    assert run(story()) == ()


def test_what_was_seen_while_the_lock_was_taken_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The balancer's gateway tells twice how it stands: then, and when there may be something to do."""
    asked: list[str] = []
    observe = SilentGateway.observe

    async def counted(gateway: SilentGateway) -> GatewayFacts:
        asked.append(gateway.host)
        return await observe(gateway)

    async def story() -> None:
        world = await World().begin()
        monkeypatch.setattr(SilentGateway, "observe", counted)
        await scale(world.ports, "shop", {"web": 4}, Wishes(), lambda _: None)

    run(story())
    assert asked.count("h1") == 2


def test_what_goes_back_by_itself_is_told_as_that() -> None:
    """Another release began, and nobody saw why."""

    async def story() -> None:
        web = service("web", 2, update=Update(failure_action="rollback"))
        world = await World().begin({"web": web})
        for engine in world.memory.engines.values():
            there = {port for port in range(28080, 28100) if engine.listens(port)}
            engine.listens = there.__contains__  # type: ignore[method-assign]  what is new never answers
        told: list[Event] = []
        result = await scale(world.ports, "shop", {"web": 3}, Wishes(), told.append)
        assert [e.text for e in told if isinstance(e, Stage)] == [
            "release 2",
            "release 3 (rollback of web to 1: release 2 failed)",
        ]
        assert result.went_back == {"web"}

    run(story())
