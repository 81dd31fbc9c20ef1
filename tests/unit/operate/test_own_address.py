"""An address in fleet.yaml that its host does not have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.given import host, service
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.errors import EngineError, UsageError
from bayplan.operate.bring import Wishes, up
from bayplan.operate.halt import start
from bayplan.operate.own_address import not_its_own
from bayplan.operate.preview import preview
from bayplan.spec.model import App, Tls

pytestmark = pytest.mark.usefixtures("no_threads")


async def brought(world: World) -> None:
    await up(world.ports, App(name="shop"), Wishes(), lambda _: None)


def test_it_is_refused_before_anything_is_started_and_all_are_told_of_at_once() -> None:
    async def story() -> None:
        world = World()
        world.memory.logins["h1"].addresses = ("127.0.0.1", "172.17.0.1", "10.77.0.21")
        world.memory.logins["h2"].addresses = ("10.77.0.22",)
        with pytest.raises(UsageError, match=r"10\.77\.0\.11 is not an address of the host; nothing was") as told:
            await brought(world)
        assert told.value.where == "h1"
        assert "the host has 10.77.0.21, 172.17.0.1" in told.value.todo
        assert "h2: 10.77.0.12 is not an address of the host; correct" in told.value.todo
        assert all(not h.engine.system for h in (await world.memory.facts()).reachable())

    run(story())


def test_plan_tells_it_of_each_host() -> None:
    async def story() -> None:
        world = World()
        world.memory.logins["h2"].addresses = ("127.0.0.1", "10.77.0.22")
        found = await preview(world.ports, App(name="shop"), frozenset(), {})
        (told,) = found.failures
        assert (told.host, told.service) == ("h2", "")
        assert told.why == (
            "private_ip: 10.77.0.12 is not an address of the host; "
            "correct private_ip in fleet.yaml; the host has 10.77.0.22"
        )

    run(story())


def test_what_stands_is_not_asked_again_but_for_the_host_that_has_another_in_fleet_yaml() -> None:
    async def story() -> None:
        world = await World().begin()
        asked = {name: login.times for name, login in world.memory.logins.items()}
        assert asked == {"h1": 1, "h2": 1}
        await world.do(start)
        assert {name: login.times for name, login in world.memory.logins.items()} == asked
        fleet = world.ports.fleet
        other = fleet.hosts["h2"].model_copy(update={"private_ip": "10.77.0.13"})
        world.ports = replace(world.ports, fleet=fleet.model_copy(update={"hosts": {**fleet.hosts, "h2": other}}))
        with pytest.raises(UsageError, match=r"10\.77\.0\.13 is not an address of the host"):
            await brought(world)
        assert {name: login.times for name, login in world.memory.logins.items()} == {"h1": 1, "h2": 2}

    run(story())


def test_over_tls_it_is_asked_of_a_guard_that_was_made_for_it_until_a_replica_is_there() -> None:
    """Nobody could be asked before: images were built, and that host could fetch none from the fleet's registry."""

    async def story() -> None:
        world = World()
        fleet = world.ports.fleet
        over_tls = fleet.hosts["h2"].model_copy(update={"tls": Tls(ca="ca", cert="cert", key="key")})
        world.ports = replace(world.ports, fleet=fleet.model_copy(update={"hosts": {**fleet.hosts, "h2": over_tls}}))
        world.memory.logins["h2"].addresses = ("10.77.0.22",)
        world.memory.logins["h2"].needs = world.memory.engines["h2"].inner
        for left in ("nothing of the app was changed", "nothing was changed"):  # and again, with the guard there
            with pytest.raises(UsageError, match=f"10.77.0.12 is not an address of the host; {left}") as told:
                await brought(world)
            assert told.value.where == "h2"
        world.memory.logins["h2"].addresses = ("10.77.0.12",)
        await world.begin({"web": service("web", 2)})
        asked = world.memory.logins["h2"].times
        await world.do(start)
        assert world.memory.logins["h2"].times == asked

    run(story())


def test_what_cannot_be_asked_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        world = World()

        async def run(_: object) -> str:
            raise EngineError("Permission denied")

        monkeypatch.setattr(world.memory.logins["h1"], "run", run)
        await world.begin()

    run(story())


def test_loopback_is_everybody_s() -> None:
    here = host("h1").model_copy(update={"private_ip": "127.0.0.1"})
    assert not_its_own(here, ("10.77.0.11",), World().ports.fleet.private_net) is None
