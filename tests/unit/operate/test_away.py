"""A service that moves to a managed one: what ran of it serves until that answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.given import ingress, service
from tests.unit.operate.test_halt import World
from tests.virtual_time import run

from bayplan.haproxy.words import AWAY
from bayplan.operate.bring import Result, Wishes, record_next
from bayplan.operate.halt import start
from bayplan.operate.release import required
from bayplan.plan.away import RESOLVES, unreached
from bayplan.plan.goal import Goal
from bayplan.spec.model import App, External, Service

pytestmark = pytest.mark.usefixtures("no_threads")

WEB = service("web", ports=(ingress(81, 8081),))
DB = service("db", ports=(ingress(3306, 3306),))
MANAGED = DB.model_copy(update={"replicas": 0, "external": External(address="db.example.com", port=3306)})


async def move(world: World, db: Service) -> Result:
    app = App(name="shop", services={"web": WEB, "db": db})
    now = await required(world.ports.releases, "shop")
    await record_next(world.ports, now, app, frozenset(), "up", await world.memory.facts())
    return await start(world.ports, "shop", Wishes(), lambda _: None)


def answering(world: World, *, away: bool) -> None:
    for gateway in world.memory.gateways.values():
        answers = gateway.answers
        gateway.answers = lambda server, spoken, was=answers: away if server.name == AWAY else was(server, spoken)


def test_a_managed_service_that_does_not_answer_takes_nothing_away() -> None:
    """A mistyped address had the database go, the site answer 500, and `up` and `doctor` say that all was well."""

    async def story() -> None:
        world = await World().begin({"web": WEB, "db": DB})
        answering(world, away=False)
        result = await move(world, MANAGED)
        [held] = result.outcome.plan.held
        assert held.service == "db"
        assert "db.example.com:3306, which is to take its place, does not answer (from h1" in held.why
        assert not result.outcome.is_whole
        assert (await world.states())["shop-db-1-r1"] == "running"
        assert any("db-1" in name for name in await world.memory.taking_traffic())
        answering(world, away=True)
        result = await move(world, MANAGED)
        assert result.outcome.is_whole
        assert set(await world.states()) == {"shop-web-1-r1"}

    run(story())


@pytest.mark.parametrize(("since", "why"), [(RESOLVES - 1, {"h1": ""}), (RESOLVES, {"h1": "its name is not found"})])
def test_a_gateway_that_has_just_begun_has_a_moment_to_learn_the_name(since: float, why: dict[str, str]) -> None:
    async def story() -> None:
        world = await World().begin({"web": WEB, "db": DB})
        await move(world, MANAGED)
        facts = await world.memory.facts()
        there = facts.hosts["h1"]
        assert there.gateway
        away = {p: replace(s, state="maint", up=None, since=since) for p, s in there.gateway.away.items()}
        seen = replace(there, gateway=replace(there.gateway, away=away))
        goal = Goal(world.ports.fleet, App(name="shop", services={"db": MANAGED}), 2)
        assert unreached(goal, MANAGED, replace(facts, hosts={**facts.hosts, "h1": seen})) == why

    run(story())
