"""Taking a fleet down that is half down already, or away."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.given import IMAGE, fleet, latest, service
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan import labels
from bayplan.container import Container, Mounted
from bayplan.errors import HostUnreachableError, NoHostError, UsageError
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.bring import Wishes
from bayplan.operate.events import Event, Stage
from bayplan.operate.oneoff import Wish, prepare_run
from bayplan.operate.remove import down
from bayplan.operate.rollback import rollback
from bayplan.operate.status import standing
from bayplan.operate.sweep import _why_kept
from bayplan.operate.volume_data import as_made, remove
from bayplan.operate.volumes import volumes
from bayplan.plan.goal import Goal
from bayplan.plan.system import guard_container
from bayplan.ports import FleetPorts, Release, VolumeEntry
from bayplan.spec.model import App, Registry
from bayplan.spec.storage import Mount, Volume
from bayplan.store import OciReleases


@pytest.fixture
def stored(no_threads: None) -> Stored:  # noqa: ARG001
    return Stored()


def a_fleet() -> tuple[MemoryFleet, FleetPorts]:
    """With a registry on h1 that is not there: to ask for a release would fail."""
    world = MemoryFleet(fleet("h1", "h2", registry=Registry(host="h1")))
    return world, world.ports


def test_down_all_that_was_cut_short_after_the_registry_went_is_finished() -> None:
    world, ports = a_fleet()

    async def story() -> set[str]:
        left = guard_container(world.fleet, world.fleet.hosts["h2"], None)
        await world.engines["h2"].pull(left.image, lambda _: None)
        await world.engines["h2"].run(left)
        result = await down(ports, "shop", lambda _: None, everything=True)
        assert result.outcome.is_whole
        return {c.role for h in (await world.facts()).hosts.values() for c in h.engine.system}

    assert asyncio.run(story()) == set()


def test_when_no_host_answers_that_is_what_is_told() -> None:
    world, ports = a_fleet()
    for engine in world.engines.values():
        engine.inner.answers = False
    with pytest.raises(NoHostError):
        asyncio.run(down(ports, "shop", lambda _: None))


class Stored:
    """An app with a volume of each kind, up on h1 and h2."""

    def __init__(self) -> None:
        self.memory = MemoryFleet(fleet("h1", "h2"))
        registry = MemoryRegistry()
        self.ports: FleetPorts = replace(self.memory.ports, releases=OciReleases(registry), registry=registry)
        self.told: list[str] = []

    async def begin(self) -> Stored:
        volumes = {
            "data": Volume(name="shop_data"),
            "theirs": Volume(name="theirs", external=True),
            "share": Volume(name="shop_share", driver_opts={"type": "nfs", "device": ":/srv"}),
            "cloud": Volume(name="shop_cloud", driver="rclone"),
        }
        mounts = tuple(Mount(kind="volume", source=key, target=f"/{key}") for key in volumes)
        app = App(name="shop", services={"db": service("db", ports=(), mounts=mounts)}, volumes=volumes)
        mount = Mounted(Mount(kind="volume", source="theirs", target="/t"), "theirs")
        await self.mounting("made-it", mount)
        await self.memory.engines["h1"].inner.remove("made-it", 0)
        await self.ports.releases.put(Release(1, "shop", app.model_dump_json(), "ann", 0.0, "up"))
        assert (await self.memory.up(Goal(self.memory.fleet, app, 1))).is_whole
        return self

    async def mounting(self, name: str, mount: Mounted) -> None:
        """A container on h1 that is not the app's."""
        engine = self.memory.engines["h1"].inner
        await engine.pull(IMAGE, lambda _: None)
        await engine.run(Container(name, IMAGE, mounts=(mount,)))

    async def down(self, *, with_volumes: bool) -> tuple[tuple[str, str], ...]:
        return (await down(self.ports, "shop", self._note, with_volumes=with_volumes)).volumes

    def _note(self, event: Event) -> None:
        if isinstance(event, Stage) and event.name == "volumes":
            self.told.append(event.text)

    async def there(self) -> set[str]:
        return {v.name for e in self.memory.engines.values() for v in await e.volumes()}


KEPT = {"theirs", "shop_share", "shop_cloud"}


def test_down_keeps_volumes_and_with_v_removes_the_app_s_own_data_and_nothing_else(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        assert await world.down(with_volumes=False) == ()
        assert await world.there() == KEPT | {"shop_data"}
        assert await world.down(with_volumes=True) == (("shop_data", "h1"),)  # the newest release has no volumes by now
        assert await world.there() == KEPT
        [said] = world.told
        assert "removes with all that is in it: shop_data on h1" in said
        assert "theirs stays: it is external" in said
        assert "shop_share stays: its data is elsewhere (:/srv)" in said

    run(story())


def test_a_volume_that_something_else_mounts_stays(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        mount = Mounted(Mount(kind="volume", source="data", target="/d"), "shop_data")
        await world.mounting("stranger", mount)
        assert await world.down(with_volumes=True) == ()
        assert "stranger mounts it, too" in world.told[0]
        assert "shop_data" in await world.there()

    run(story())


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"com.docker.compose.project": "blog"}, "it is of the app blog"),
        ({labels.FLEET: "another", labels.APP: "shop"}, "it is of the fleet another"),
        ({labels.FLEET: "t", labels.APP: "blog"}, "it is of the app blog"),
        ({"com.docker.compose.project": "shop"}, ""),
        ({}, ""),
    ],
)
def test_a_volume_of_others_stays_also_while_nobody_mounts_it(told: dict[str, str], why: str) -> None:
    assert _why_kept(VolumeEntry("data", "local", told), "t", "shop", ()) == why


def test_what_run_runs_goes_with_the_app(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        host, made = await prepare_run(world.ports, "shop", Wish("db", command=("sh",)), lambda _: None)
        await world.memory.engines[host].run(made)
        assert await world.down(with_volumes=True) == (("shop_data", "h1"),)
        assert list((await world.memory.facts()).oneoffs("shop")) == []

    run(story())


def test_a_name_that_was_misspelt_is_no_release(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        assert (await down(world.ports, "shpo", lambda _: None)).goal.release == 0
        assert await latest(world.ports.releases, "shpo") is None
        assert (await down(world.ports, "shop", lambda _: None)).goal.release == 2

    run(story())


def test_what_a_silent_host_kept_of_an_app_that_is_down_is_told(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        home = world.memory.engines["h1"].inner
        home.answers = False
        await world.down(with_volumes=False)
        home.answers = True
        seen = (await standing(world.ports, "shop")).status
        assert seen.services == ()
        assert [(i.name, i.host, i.state) for i in seen.left_over] == [("shop-db-1-r1", "h1", "ready")]
        await world.down(with_volumes=False)
        assert (await standing(world.ports, "shop")).status.left_over == ()

    run(story())


def test_of_an_app_that_is_down_the_file_says_what_its_volumes_are_called(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        await world.down(with_volumes=False)
        written = {"data": Volume(name="shop_data"), "more": Volume(name="shop_more")}
        known = await volumes(world.ports, "shop", lambda: written, "more")
        assert {(v.volume, v.name) for v in known.views()} >= {("data", "shop_data")}
        assert as_made(known, "more").name == "shop_more"
        assert as_made(known, "shop_data").mount.source == "data"
        for unknown in (known, await volumes(world.ports, "shop")):
            with pytest.raises(UsageError, match="neither the release nor the Compose file of shop has a volume other"):
                as_made(unknown, "other")

    run(story())


@pytest.mark.parametrize("name", ["data", "blog_data", "bayplan-registry-shop"])
def test_a_volume_of_others_is_not_removed_though_nothing_mounts_it(name: str, stored: Stored) -> None:
    """`data` is no key of the file any more, and somebody's volume."""

    async def story() -> None:
        world = await stored.begin()
        await world.down(with_volumes=True)
        mount = Mount(kind="volume", source="x", target="/x")
        await world.mounting("other", Mounted(mount, name, labels={labels.FLEET: "shop", labels.APP: "blog"}))
        engine = world.memory.engines["h1"].inner
        await engine.remove("other", 0)
        await world.ports.releases.put(
            Release(9, "shop", App(name="shop", services={"web": service("web")}).model_dump_json(), "ann", 0.0, "up")
        )
        with pytest.raises(UsageError, match=f"{name} on h1 is not a volume of shop"):
            await remove(world.ports, "shop", name, None)
        assert name in {v.name for v in await engine.volumes()}

    run(story())


def test_what_a_silent_host_has_is_not_known_and_not_nothing(stored: Stored) -> None:
    """`volume ls` said that there were no volumes, and `backup` that no host had the one that was asked for."""

    async def story() -> None:
        world = await stored.begin()
        world.memory.engines["h1"].inner.answers = False
        known = await volumes(world.ports, "shop")
        assert (tuple(known.views()), list(known.unknown)) == ((), ["h1"])
        for host in (None, "h1"):
            with pytest.raises(HostUnreachableError, match="no host that answers has a volume shop_data; h1 may"):
                known.home_of("data", host)
        with pytest.raises(UsageError, match="no host h2 has a volume shop_data"):
            known.home_of("data", "h2")

    run(story())


def test_an_external_volume_is_not_removed(stored: Stored) -> None:
    async def story() -> None:
        world = await stored.begin()
        await world.down(with_volumes=False)
        written = {"theirs": Volume(name="theirs", external=True)}
        with pytest.raises(UsageError, match="theirs is external"):
            await remove(world.ports, "shop", "theirs", None, lambda: written)
        assert "theirs" in await world.there()

    run(story())


def test_after_down_a_volume_may_be_on_a_host_that_does_not_answer(stored: Stored) -> None:
    """An empty one was begun elsewhere: the newest release, of a `down`, had no services that ran before."""

    async def story() -> None:
        mounts, volumes = (Mount(kind="volume", source="data", target="/data"),), {"data": Volume(name="shop_data")}
        app = App(name="shop", services={"db": service("db", ports=(), mounts=mounts)}, volumes=volumes)
        await stored.ports.releases.put(Release(1, "shop", app.model_dump_json(), "ann", 0.0, "up"))
        assert (await stored.memory.up(Goal(stored.memory.fleet, app, 1))).is_whole
        [home] = [host for host, engine in stored.memory.engines.items() if await engine.volumes()]
        assert await stored.down(with_volumes=False) == ()
        stored.memory.engines[home].inner.answers = False
        result = await rollback(stored.ports, "shop", 1, Wishes(), lambda _: None)
        [left] = result.outcome.plan.unplaced
        assert [w.host for w in left.why if f"its volume shop_data may be on {home}" in w.reason] != []
        stored.memory.engines[home].inner.answers = True
        assert await stored.there() == {"shop_data"}

    run(story())
