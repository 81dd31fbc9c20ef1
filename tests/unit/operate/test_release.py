"""Which number a release gets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import given
from tests.virtual_time import run

from bayplan.errors import RegistryError, UsageError
from bayplan.facts import Binding, EngineFacts, Facts, HostFacts
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.release import Chosen, current, only, read_ahead, record, scaled
from bayplan.ports import Release
from bayplan.spec.model import App, Http, Service
from bayplan.spec.storage import Mount, Volume
from bayplan.store import DirectoryReleases, OciReleases

SHOP = App(name="shop", services={"web": given.service()})


def standing(*releases: int) -> Facts:
    replicas = tuple(given.replica(given.service(), slot, "h1", release=r) for slot, r in enumerate(releases, 1))
    return Facts({"h1": HostFacts("h1", reachable=True, engine=EngineFacts(replicas=replicas))})


def recorded_in(directory: Path) -> Any:
    return SimpleNamespace(releases=DirectoryReleases(directory), fleet=given.fleet("h1"))


def test_a_service_with_one_on_each_host_has_no_number_of_them() -> None:
    everywhere = given.service(mode="global")
    with pytest.raises(UsageError, match="web has one replica on each host"):
        scaled(App(name="shop", services={"web": everywhere}), {"web": 2}, given.fleet("h1"))


def test_what_writes_a_volume_has_one_replica_but_on_this_machine_alone() -> None:
    db = given.service("db", mounts=(Mount(kind="volume", source="data", target="/d"),))
    app = App(name="shop", services={"db": db}, volumes={"data": Volume(name="shop_data")})
    with pytest.raises(UsageError, match="db writes to the volume shop_data: one replica a volume"):
        scaled(app, {"db": 2}, given.fleet("h1", "h2"))
    assert scaled(app, {"db": 2}, given.fleet("h1", local=True)).services["db"].replicas == 2


@pytest.mark.parametrize(
    ("file", "todo"),
    [
        ({"web": given.service(ports=()), "proxy": given.service("proxy")}, "bring both up: bayplan up proxy web"),
        ({"proxy": given.service("proxy")}, "bring both up: bayplan up"),
    ],
)
def test_a_listener_does_not_move_to_a_service_that_alone_is_brought_up(file: dict[str, Service], todo: str) -> None:
    """It led to the one that has it, and both were told to be ready."""
    with pytest.raises(
        UsageError, match="port 80 is proxy's in the file, and web's, which would stay as it is"
    ) as told:
        only(Chosen(1, SHOP, is_new=False, before={}), App(name="shop", services=file), frozenset({"proxy"}))
    assert told.value.todo == todo


def test_of_one_listener_services_are_told_apart_by_host_name() -> None:
    shop, blog = (
        given.service(name, ports=(given.ingress(app_protocol="http"),), http=Http(hosts=(f"{name}.example.com",)))
        for name in ("shop", "blog")
    )
    now = App(name="shop", services={"shop": shop, "blog": blog})
    before = Chosen(1, App(name="shop", services={"shop": shop}), is_new=False, before={})
    assert only(before, now, frozenset({"blog"})).services.keys() == {"shop", "blog"}


async def test_what_says_the_same_is_the_same_release(tmp_path: Path) -> None:
    ports = recorded_in(tmp_path)
    first = await record(ports, SHOP, "up", Facts())
    again = await record(ports, SHOP, "up", standing(1))
    assert (first.number, first.is_new) == (1, True)
    assert (again.number, again.is_new) == (1, False)


@pytest.mark.parametrize(
    ("other", "number"),
    [
        ({"spec": "by another bayplan"}, 2),
        ({"ports": (Binding(8080, 28080, "10.77.0.99"),)}, 2),  # of its host, before
        ({"spec": "by another bayplan", "state": "exited"}, 1),
        ({"spec": "of release 3", "release": 3}, 4),
    ],
)
async def test_what_runs_by_its_names_and_is_not_of_it_makes_it_another(
    tmp_path: Path, other: dict[str, Any], number: int
) -> None:
    """One name cannot be there twice: it went before its successor was started, and requests failed meanwhile."""
    ports = recorded_in(tmp_path)
    await record(ports, SHOP, "up", Facts())
    there = given.facts(given.up("h1", given.replica(given.service(), 1, "h1", **other)))
    assert (await record(ports, SHOP, "up", there)).number == number


async def test_records_that_were_lost_do_not_make_a_release_older_than_what_stands(tmp_path: Path) -> None:
    ports = recorded_in(tmp_path)
    assert (await record(ports, SHOP, "up", standing(7, 9))).number == 10
    assert (await record(ports, SHOP, "up", standing(7, 9))).number == 10
    assert (await record(ports, SHOP, "up", standing(12))).number == 13


def test_verbs_that_read_no_compose_file_do_not_load_what_reads_one() -> None:
    """Its classes took `ps` and `scale` an eighth more time to load all that they need."""
    asks = "import sys, bayplan.operate.bring, bayplan.operate.status; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True).stdout.split()
    assert "bayplan.spec.model" in loaded
    assert [name for name in loaded if name.startswith(("bayplan.spec.written", "bayplan.spec.resolve"))] == []


class SlowRegistry(MemoryRegistry):
    """Each answer takes it a second. asked: for what. broken: it answers nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.broken = False

    async def tags(self, repository: str) -> tuple[str, ...]:
        await self._answer("tags")
        return await super().tags(repository)

    async def get_document(self, repository: str, tag: str) -> bytes | None:
        await self._answer(tag)
        return await super().get_document(repository, tag)

    async def _answer(self, asked: str) -> None:
        self.asked.append(asked)
        await asyncio.sleep(1)
        if self.broken:
            raise RegistryError("it is broken")


def released(number: int) -> Release:
    return Release(number, "shop", SHOP.model_dump_json(), "ann", 0.0)


def test_what_was_read_ahead_is_not_read_again_and_which_is_the_newest_is_asked_again() -> None:
    async def story() -> list[str]:
        registry = SlowRegistry()
        releases = OciReleases(registry)
        await releases.put(released(1))
        async with read_ahead(releases, "shop"):
            await asyncio.sleep(10)  # until the lock is held
            registry.asked.clear()
            assert await current(releases, "shop") is not None
        return registry.asked

    assert run(story()) == ["tags"]


def test_what_another_released_before_the_lock_was_held_is_the_newest() -> None:
    async def story() -> Chosen | None:
        registry = SlowRegistry()
        mine, theirs = OciReleases(registry), OciReleases(registry)
        await theirs.put(released(1))
        async with read_ahead(mine, "shop"):
            await asyncio.sleep(10)
            await theirs.put(released(2))
            return await current(mine, "shop")

    chosen = run(story())
    assert chosen is not None
    assert chosen.number == 2


def test_a_registry_that_does_not_answer_is_told_of_when_it_is_needed() -> None:
    async def story() -> None:
        registry = SlowRegistry()
        registry.broken = True
        async with read_ahead(OciReleases(registry), "shop"):
            await asyncio.sleep(10)
            with pytest.raises(RegistryError, match="it is broken"):
                await current(OciReleases(registry), "shop")

    run(story())


def test_reading_ahead_ends_with_what_it_was_for() -> None:
    async def story() -> int:
        async with read_ahead(OciReleases(SlowRegistry()), "shop"):
            await asyncio.sleep(0.5)
        return len(asyncio.all_tasks())

    assert run(story()) == 1
