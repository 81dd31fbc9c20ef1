"""A host that was installed anew: an empty database under the old name, which nobody was told of."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.given import fleet, goal, ingress, replica, service, standing
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.errors import BayplanError, EngineError
from bayplan.facts import EngineFacts, Facts, HostFacts, VolumeFacts
from bayplan.operate.bring import Wishes, converge, scale
from bayplan.operate.events import Event, Note, OnEvent
from bayplan.operate.halt import restart, start, stop
from bayplan.operate.lost import check, notes, volumes
from bayplan.operate.move import move
from bayplan.operate.release import required
from bayplan.operate.repack import carry_out, propose
from bayplan.operate.rollback import rollback
from bayplan.ports import FleetPorts, Release
from bayplan.spec.model import App, Resources, Service
from bayplan.spec.storage import Mount, Volume

DB = service("db", mounts=(Mount(kind="volume", source="data", target="/data"),))
WEB = service("web")
DB_BEHIND = DB.model_copy(update={"ports": (ingress(81, 8081),)})


def app(*services: Service, volume: str = "shop_data", external: bool = False) -> App:
    made = goal(fleet("h1", "h2"), *services).app
    return made.model_copy(update={"volumes": {"data": Volume(name=volume, external=external)}})


def seen(*, anew: bool = False, volumes: frozenset[str] = frozenset()) -> Facts:
    """h2 has the database, and h1 the gateway that leads to it. anew: h2 has nothing of before. volumes: what h1 has."""
    there = standing(goal(fleet("h1", "h2"), DB), replica(DB, 1, "h2", volumes=("shop_data",)))
    h1, h2 = there.hosts["h1"], there.hosts["h2"]
    h1 = replace(h1, engine=replace(h1.engine, volumes=dict.fromkeys(volumes, VolumeFacts())))
    return Facts({"h1": h1, "h2": replace(h2, engine=EngineFacts(), gateway=None) if anew else h2})


@pytest.mark.parametrize("before", [app(DB), None])
def test_a_host_that_lost_its_volume_begins_no_empty_one(before: App | None) -> None:
    """before: nothing is known of the registry's releases, which were on that host, too."""
    with pytest.raises(BayplanError, match="db lived here on the volume shop_data; both are gone") as told:
        check(app(DB), before, seen(anew=True))
    assert told.value.where == "h2"
    assert "bayplan volume restore shop_data FILE --host h2" in told.value.todo
    assert "docker volume create shop_data on h2" in told.value.todo


@pytest.mark.parametrize(
    ("wanted", "before", "facts"),
    [
        (app(DB), app(DB), seen()),
        (
            app(DB),
            app(DB),
            seen(anew=True, volumes=frozenset({"shop_data"})),
        ),  # from a backup, or an empty one on purpose
        (app(DB), app(WEB), seen(anew=True)),
        (app(DB), app(service("db")), seen(anew=True)),
        (app(service("db")), app(DB), seen(anew=True)),
        (app(DB, volume="other"), app(DB), seen(anew=True)),
        (app(DB, external=True), app(DB, external=True), seen(anew=True)),
        (app(DB), app(DB), Facts(seen().hosts | {"h2": HostFacts("h2", reachable=False)})),
    ],
)
def test_nothing_is_lost_that_is_there_or_was_never_or_may_be_on_a_silent_host(
    wanted: App, before: App, facts: Facts
) -> None:
    assert [*volumes(wanted, before, facts)] == []


def test_what_was_released_and_is_nowhere_is_told_where_gateways_have_forgotten_it() -> None:
    """After --assume-down of the host that came back anew."""
    nowhere = Facts({name: replace(host, gateway=None) for name, host in seen(anew=True).hosts.items()})
    (note,) = notes(app(DB), app(DB), nowhere)
    assert note.startswith("no host has the volume shop_data: db begins on an empty one")
    assert [*notes(app(DB), None, nowhere)] == [*notes(app(DB), app(DB), seen())] == []
    assert [*notes(app(DB), app(DB), nowhere, frozenset({"web"}))] == []  # it is not brought up
    silent = Facts(nowhere.hosts | {"h2": replace(nowhere.hosts["h2"], reachable=False)})
    assert [*notes(app(DB), app(DB), silent)] == []


@pytest.mark.usefixtures("no_threads")
def test_no_verb_takes_the_trace_of_it_away() -> None:
    """The endpoint left the pools with the next scale, and the up after that knew nothing any more."""

    async def story() -> None:
        world = World()
        await world.ports.releases.put(Release(1, "shop", app(WEB, DB_BEHIND).model_dump_json(), "ann", 0.0, "up"))
        await world.do(start)
        there = next(r for r in (await world.memory.facts()).replicas("shop", "db"))
        await world.memory.engines[there.host].remove(there.name, 0)
        await world.memory.engines[there.host].remove_volume("shop_data")
        before = await world.memory.taking_traffic()
        for verb in (start, restart, partial(scale, replicas={"web": 2})):
            with pytest.raises(BayplanError, match="db lived here on the volume shop_data"):
                await verb(world.ports, "shop", wishes=Wishes(), on=lambda _: None)
        assert await world.memory.taking_traffic() == before
        assert [*(await world.memory.facts()).replicas("shop", "db")] == []

    run(story())


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize(
    "verb",
    [start, restart, partial(scale, replicas={"web": 2}), partial(rollback, number=1)],
    ids=["start", "restart", "scale", "rollback"],
)
def test_every_verb_that_begins_an_empty_one_tells_it(verb: Callable[..., Coroutine[Any, Any, object]]) -> None:
    """Only `up` did."""

    async def story() -> None:
        quiet = DB.model_copy(update={"ports": ()})  # no gateway leads to it
        world = World()
        await world.ports.releases.put(Release(1, "shop", app(WEB, quiet).model_dump_json(), "ann", 0.0, "up"))
        await world.do(start)
        assert await told(world, verb) == []
        there = next(r for r in (await world.memory.facts()).replicas("shop", "db"))
        await world.memory.engines[there.host].remove(there.name, 0)
        await world.memory.engines[there.host].remove_volume("shop_data")
        (note,) = await told(world, verb)
        assert note.startswith("no host has the volume shop_data: db begins on an empty one")

    run(story())


async def moved(ports: FleetPorts, wishes: Wishes, on: OnEvent) -> None:
    await move(ports, "shop", "more", "h2", wishes, on, lambda *_: None)


async def repacked(ports: FleetPorts, wishes: Wishes, on: OnEvent) -> None:
    await carry_out(ports, await propose(ports, None), None, wishes, on)


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("verb", [moved, repacked])
@pytest.mark.parametrize("led_to", [True, False])
def test_what_moves_others_begins_no_empty_one_without_a_word(
    verb: Callable[[FleetPorts, Wishes, OnEvent], Coroutine[Any, Any, None]], led_to: bool
) -> None:
    """They bring the whole app up, and did not ask."""

    async def story() -> None:
        db = DB_BEHIND if led_to else DB.model_copy(update={"ports": ()})
        web = WEB.model_copy(update={"resources": Resources(reserved_cpus=0.5)})
        files = service("files", ports=(), mounts=(Mount(kind="volume", source="more", target="/data"),))
        shop = app(web, db, files)
        shop = shop.model_copy(update={"volumes": {**shop.volumes, "more": Volume(name="shop_more")}})
        world = World()
        await world.ports.releases.put(Release(1, "shop", shop.model_dump_json(), "ann", 0.0, "up"))
        at = {(name, 1): "h2" if name == "web" else "h1" for name in shop.services}
        await converge(world.ports, await required(world.ports.releases, "shop"), Wishes(moves=at), lambda _: None)
        await world.memory.engines["h1"].remove("shop-db-1-r1", 0)
        await world.memory.engines["h1"].remove_volume("shop_data")
        events: list[Event] = []
        if led_to:
            with pytest.raises(BayplanError, match="db lived here on the volume shop_data"):
                await verb(world.ports, Wishes(), events.append)
            assert {r.name: r.state for r in (await world.memory.facts()).replicas()} == {
                "shop-web-1-r1": "running",
                "shop-files-1-r1": "running",
            }
        else:
            world.memory.engines["h1"].fails["stop"] = [EngineError("no data is copied in memory", where="h1")]
            with suppress(EngineError):
                await verb(world.ports, Wishes(), events.append)
            (note,) = [e.text for e in events if isinstance(e, Note)]
            assert note.startswith("no host has the volume shop_data: db begins on an empty one")

    run(story())


@pytest.mark.usefixtures("no_threads")
def test_what_stays_stopped_or_is_to_have_no_replica_begins_none() -> None:
    async def story() -> None:
        quiet = DB.model_copy(update={"ports": ()})
        world = World()
        await world.ports.releases.put(Release(1, "shop", app(WEB, quiet).model_dump_json(), "ann", 0.0, "up"))
        await world.do(start, "web")
        assert await told(world, partial(restart, wishes=Wishes(frozenset({"web"})))) == []
        assert await told(world, partial(scale, replicas={"db": 0})) == []
        await world.do(stop, "db")
        assert await told(world, partial(scale, replicas={"web": 2})) == []

    run(story())


async def told(world: World, verb: Callable[..., Coroutine[Any, Any, object]]) -> list[str]:
    events: list[Event] = []
    given = verb.keywords if isinstance(verb, partial) else {}
    await verb(world.ports, "shop", **{"wishes": Wishes(), **given}, on=events.append)
    return [e.text for e in events if isinstance(e, Note)]
