"""Which releases there are, going back to one, and what is told of those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.given import IMAGE, fleet, latest, service
from tests.memory_fleet import OTHER_IMAGE, MemoryFleet
from tests.virtual_time import run

from bayplan.errors import ImageError, RegistryError, UnreadableError, UsageError
from bayplan.facts import Facts
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.bring import Result, Wishes, scale
from bayplan.operate.compare import releases as compared
from bayplan.operate.compare import with_file
from bayplan.operate.events import Event, Note
from bayplan.operate.history import as_json, history, release
from bayplan.operate.release import last_readable, record, spec_of
from bayplan.operate.remove import down
from bayplan.operate.rollback import rollback
from bayplan.ports import FleetPorts, Release, Source, Stored
from bayplan.spec.model import App, Build
from bayplan.spec.storage import Grant, Secret
from bayplan.store import OciReleases
from bayplan.store.document import MEDIA_TYPE

T = TypeVar("T")
FIRST = Source("0123456789abcdef0123456789abcdef01234567", dirty=True)


class World:
    """A fleet, and the registry that its releases are in. Release 1 runs one replica of IMAGE, 2 of OTHER_IMAGE."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.memory = MemoryFleet(fleet("h1", "h2"))
        self.releases = OciReleases(self.registry)
        self.ports: FleetPorts = replace(self.memory.ports, releases=self.releases, registry=self.registry)

    async def put(self, number: int, *, source: Source = FIRST, **changes: Any) -> None:
        app = App(name="shop", services={"web": service(**changes)})
        await self.releases.put(Release(number, "shop", app.model_dump_json(), "ann@laptop", 1e9, "up", source))

    async def two(self) -> None:
        await self.put(1, image=IMAGE)
        await self.put(2, image=OTHER_IMAGE, replicas=2, source=Source())

    async def back(self, number: int | None = None) -> Result:
        return await rollback(self.ports, "shop", number, Wishes(), lambda _: None)

    def lose(self, number: int) -> None:
        """As a disk does: the tag is listed, and what it stands for is gone."""
        key = ("bayplan/shop", f"release-{number}")
        assert self.registry._documents.pop(key)
        self.registry._images[key] = Stored("", 0)

    def damage(self, number: int) -> None:
        self.registry._documents["bayplan/shop", f"release-{number}"] = b"\0"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time knows of no thread that it should wait for."""

    async def here(work: Callable[..., T], *given: object) -> T:
        return work(*given)

    monkeypatch.setattr("asyncio.to_thread", here)


def told(story: Coroutine[Any, Any, T]) -> T:
    return run(story)


def test_the_newest_is_first_and_says_what_changed() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        second, first = await history(world.releases, "shop")
        assert (second.number, second.changes) == (2, ("web: image, replicas",))
        assert (first.number, first.changes) == (1, None)
        assert [e.number for e in await history(world.releases, "shop", 1)] == [2]
        assert (await history(world.releases, "shop", 1))[0].changes == second.changes

    told(story())


def test_what_was_stopped_or_started_again_is_no_release_like_the_one_before() -> None:
    async def story() -> None:
        world = World()
        await world.put(1)
        one = await world.releases.get("shop", 1)
        assert one
        await world.releases.put(replace(one, number=2, why="stop web", stopped=("web",)))
        await world.releases.put(replace(one, number=3, why="start web"))
        await world.releases.put(replace(one, number=4))
        found = [e.changes for e in await history(world.releases, "shop")]
        assert found == [(), ("web: started",), ("web: stopped",), None]

    told(story())


def test_as_json_tells_who_when_why_and_from_which_commit() -> None:
    async def story() -> dict[str, Any]:
        world = World()
        await world.two()
        return as_json((await history(world.releases, "shop"))[1])

    assert told(story()) == {
        "release": 1, "at": "2001-09-09T01:46:40Z", "by": "ann@laptop", "why": "up", "commit": FIRST.commit,
        "dirty": True, "unread": "", "changes": [], "services": [{"service": "web", "replicas": 1, "image": IMAGE}],
    }  # fmt: skip


def test_numbers_that_were_given_in_another_registry_are_not_said_to_be_lost() -> None:
    """The fleet had another one meanwhile, and has its old one again: 3 and 4 stand in the other, and 5 follows."""

    async def story() -> None:
        world = World()
        await world.two()
        await world.put(5, replicas=3)
        found = {e.number: e for e in await history(world.releases, "shop")}
        elsewhere = "it is not recorded here: lost, or given while the fleet had another registry"
        assert {n: found[n].unread for n in (3, 4)} == dict.fromkeys((3, 4), elsewhere)
        with pytest.raises(UnreadableError, match=f"release 4 of shop cannot be read: {elsewhere}"):
            await release(world.releases, "shop", 4)

    told(story())


def test_what_is_lost_or_damaged_is_told_and_the_rest_is_read() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        await world.put(3, replicas=3)
        await world.put(4, replicas=4)
        world.damage(2)
        world.lose(3)
        found = {e.number: e for e in await history(world.releases, "shop")}
        assert found[2].unread == "this is not a release that bayplan wrote"
        assert found[3].unread == "the registry has lost it"
        assert found[4].changes == ("web: replicas",)  # compared with 1
        with pytest.raises(RegistryError, match="release 3 of shop cannot be read: the registry has lost it"):
            await release(world.releases, "shop", 3)
        with pytest.raises(UsageError, match="has no release 9"):
            await release(world.releases, "shop", 9)
        with pytest.raises(UsageError, match="never released"):
            await history(world.releases, "other")

    told(story())


@pytest.mark.parametrize("harm", ["lose", "damage"])
def test_the_newest_that_cannot_be_read_is_named_and_no_older_one_taken_for_it(harm: str) -> None:
    """`scale` brought back the image of the release before."""

    async def story() -> None:
        world = World()
        await world.two()
        getattr(world, harm)(2)
        for change in (scale(world.ports, "shop", {"web": 3}, Wishes(), lambda _: None), world.back()):
            with pytest.raises(UnreadableError, match="release 2 of shop cannot be read: ") as refused:
                await change
            assert "bayplan up" in refused.value.todo
        assert await world.releases.numbers("shop") == (1, 2)
        assert await world.memory.names() == []

    told(story())


@pytest.mark.parametrize("harm", ["lose", "damage"])
def test_who_brings_all_of_it_goes_on_from_the_newest_that_can_be_read(harm: str) -> None:
    async def story() -> None:
        world = World()
        await world.two()
        await world.put(3, replicas=3)
        getattr(world, harm)(3)
        app = App(name="shop", services={"web": service(image=OTHER_IMAGE, replicas=2)})
        events = list[Event]()
        known = await last_readable(world.releases, "shop", lambda text: events.append(Note(text)))
        assert known
        assert known.number == 2
        chosen = await record(world.ports, app, "up", Facts(), latest=known)
        assert (chosen.number, chosen.is_new, chosen.before) == (4, True, {"web": 2}), "3 was given already"
        assert [e.number for e in await history(world.releases, "shop", 2)] == [4, 3]
        assert next(e for e in events if isinstance(e, Note)).text.endswith("release 2 is taken for it")

    told(story())


def test_one_goes_back_and_down_from_what_cannot_be_read() -> None:
    async def story() -> None:
        world, said = World(), list[Event]()
        await world.two()
        world.damage(2)
        to = await rollback(world.ports, "shop", 1, Wishes(), said.append)
        assert (to.goal.release, to.outcome.is_whole) == (3, True)
        world.damage(3)
        gone = await down(world.ports, "shop", said.append)
        assert (gone.goal.release, gone.outcome.is_whole) == (4, True)
        assert len([e for e in said if isinstance(e, Note)]) == 2
        assert await world.memory.names() == []

    told(story())


def test_when_none_can_be_read_it_begins_anew_above_them() -> None:
    async def story() -> None:
        world = World()
        await world.put(1)
        world.damage(1)
        known = await last_readable(world.releases, "shop", lambda _: None)
        app = App(name="shop", services={"web": service()})
        assert (await record(world.ports, app, "up", Facts(), latest=known)).number == 2

    told(story())


def test_a_rollback_releases_again_what_was_recorded() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        result = await world.back()
        assert result.outcome.is_whole
        newest = await latest(world.releases, "shop")
        assert newest
        assert (newest.number, newest.why, newest.source) == (3, "rollback to 1", FIRST)
        assert spec_of(newest).services["web"].image == IMAGE
        assert [n.partition(".")[0] for n in await world.memory.names()] == ["shop-web-1-r3"]

    told(story())


def test_without_a_number_it_is_the_one_before_that_says_something_else() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        await world.put(3, image=OTHER_IMAGE, replicas=2)
        assert (await world.back()).goal.app.services["web"].image == IMAGE
        await scale(world.ports, "shop", {"web": 3}, Wishes(), lambda _: None)
        await down(world.ports, "shop", lambda _: None)
        again = await world.back()
        assert (again.goal.app.services["web"].replicas, again.outcome.is_whole) == (3, True)

    told(story())


def test_a_rollback_to_what_runs_is_no_release() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        await world.back(1)
        assert not (await world.back(3)).is_new
        assert await world.releases.numbers("shop") == (1, 2, 3)

    told(story())


def test_an_image_that_is_gone_stops_it_before_anything_is_changed() -> None:
    gone = f"localhost:5000/shop/web@sha256:{'0' * 64}"

    async def story() -> None:
        world = World()
        await world.put(1, image=gone)
        await world.put(2, image=OTHER_IMAGE)
        with pytest.raises(ImageError, match="release 1 cannot run again: 1 of its images is gone") as error:
            await world.back()
        assert gone in error.value.todo
        assert FIRST.commit[:12] in error.value.todo
        assert await world.releases.numbers("shop") == (1, 2)
        assert await world.memory.names() == []

    told(story())


def test_one_that_some_host_has_is_not_gone() -> None:
    kept = f"localhost:5000/shop/web@sha256:{'0' * 64}"

    async def story() -> None:
        world = World()
        world.memory.engines["h1"].inner._images[kept] = "sha256:1"
        await world.put(1, image=kept)
        await world.put(2, image=OTHER_IMAGE)
        assert (await world.back()).goal.release == 3

    told(story())


def test_there_must_be_one_to_go_back_to() -> None:
    async def story() -> None:
        world = World()
        await world.put(1)
        with pytest.raises(UsageError, match="no release to go back to"):
            await world.back()

    told(story())


def test_a_newer_bayplan_s_release_is_not_gone_back_from() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        await world.registry.put_document("bayplan/shop", "release-3", MEDIA_TYPE, b'{"format": 2}')
        with pytest.raises(RegistryError, match="newer bayplan"):
            await world.back(1)

    told(story())


def test_down_keeps_the_history() -> None:
    async def story() -> tuple[int, ...]:
        world = World()
        await world.two()
        await world.back()
        await down(world.ports, "shop", lambda _: None)
        return await world.releases.numbers("shop")

    assert told(story()) == (1, 2, 3, 4)


def test_two_releases_side_by_side() -> None:
    async def story() -> None:
        world = World()
        await world.two()
        found = await compared(world.ports, "shop", 1, 2)
        assert [c.key for c in found.changes] == ["image", "replicas"]

    told(story())


def test_what_an_image_that_is_yet_to_be_built_listens_on_is_not_told_as_gone(tmp_path: Path) -> None:
    async def story() -> None:
        world = World()
        await world.put(1, listens=(80,))
        (tmp_path / "Dockerfile").write_text("FROM scratch\nEXPOSE 80\n")
        web = service(image="", build=Build(context=str(tmp_path)))
        found = await with_file(world.ports, App(name="shop", services={"web": web}), None, {})
        assert found.unmade == ("web",)
        assert "image" in {c.key for c in found.changes}
        assert "listens" not in {c.key for c in found.changes}

    told(story())


def test_what_differs_by_a_secret_s_value_alone_is_not_gone_back_to() -> None:
    async def story() -> None:
        world = World()
        web = service(secrets=(Grant(source="key", target="/run/secrets/key"),))
        for number, version in enumerate(("old", "new"), 1):
            secrets = {"key": Secret(name="shop_key", file="/k", version=version, check=version)}
            app = App(name="shop", services={"web": web}, secrets=secrets)
            await world.releases.put(Release(number, "shop", app.model_dump_json(), "ann", 1e9, "up", FIRST))
        for number in (None, 1):
            with pytest.raises(UsageError, match="by the value of key alone") as refused:
                await world.back(number)
            assert "bayplan up" in refused.value.todo
        assert await world.releases.numbers("shop") == (1, 2)

    told(story())
