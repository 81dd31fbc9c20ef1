"""Stopping, starting again and restarting: on a whole fleet in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.given import fleet, ingress, latest, service
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan import labels
from bayplan.converge.outcome import StepEvent
from bayplan.errors import EngineError, NotFoundError, UsageError
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.bring import Result, Wishes, scale
from bayplan.operate.events import Event, Note
from bayplan.operate.halt import restart, start, stop
from bayplan.operate.oneoff import Wish, prepare_run
from bayplan.operate.status import standing
from bayplan.plan.steps import kind, subject
from bayplan.ports import FleetPorts, Release
from bayplan.spec.model import App, Condition, Dependency, Mode, Service, Update
from bayplan.store import OciReleases

pytestmark = pytest.mark.usefixtures("no_threads")


class World:
    """Four replicas of web behind port 80, one of api behind 81; all of them stand."""

    def __init__(self) -> None:
        self.memory = MemoryFleet(fleet("h1", "h2"))
        self.registry = MemoryRegistry()
        releases = OciReleases(self.registry)
        self.ports: FleetPorts = replace(self.memory.ports, releases=releases, registry=self.registry)
        self.done: list[tuple[str, str]] = []

    async def begin(self, services: dict[str, Service] | None = None) -> World:
        services = services or {"web": service("web", 4), "api": service("api", ports=(ingress(81, 8081),))}
        app = App(name="shop", services=services)
        await self.ports.releases.put(Release(1, "shop", app.model_dump_json(), "ann", 0.0, "up"))
        await self.do(start)
        self.done.clear()
        return self

    async def do(self, verb: Callable[..., object], *services: str) -> Result:
        chosen = frozenset(services) if services else None
        result = await verb(self.ports, "shop", Wishes(chosen), self._note)  # type: ignore[misc]
        assert isinstance(result, Result)
        return result

    def falls_over(self, name: str) -> None:
        """The container ends, and its engine does not bring it back."""
        for engine in self.memory.engines.values():
            if name in engine.inner._containers:
                engine.inner._containers[name].exit(1, by_hand=True)

    def made_otherwise(self, name: str) -> None:
        """As if another bayplan, which has another digest for the same, had made it."""
        for engine in self.memory.engines.values():
            if there := engine.inner._containers.get(name):
                there.made_of = replace(there.made_of, labels={**there.made_of.labels, labels.SPEC: "another's"})

    def _note(self, event: Event) -> None:
        if isinstance(event, StepEvent) and event.state == "done":
            self.done.append((kind(event.step), subject(event.step).partition(".")[0]))

    async def states(self) -> dict[str, str]:
        return {r.name: r.state for r in (await self.memory.facts()).replicas()}

    def policies(self) -> set[str]:
        """Of web's containers."""
        made = (c.made_of for e in self.memory.engines.values() for c in e.inner._containers.values())
        return {m.restart for m in made if m.name.startswith("shop-web")}


def test_a_stopped_service_leaves_the_pools_first_and_keeps_its_containers() -> None:
    async def story() -> None:
        world = await World().begin()
        result = await world.do(stop, "web")
        assert result.outcome.is_whole
        mine = [k for k, name in world.done if name == "shop-web-1-r1"]
        assert mine == ["drain", "leave", "stop"]
        states = await world.states()
        assert {n: s for n, s in states.items() if "web" in n} == {f"shop-web-{n}-r1": "exited" for n in range(1, 5)}
        assert states["shop-api-1-r1"] == "running"
        assert world.policies() == {"no"}

    run(story())


def test_what_fell_over_without_its_restart_policy_has_it_again_once_it_is_started() -> None:
    """Somebody took it with `docker update --restart=no`: the host's next boot would have left it out again."""

    async def story() -> None:
        world = await World().begin()
        await world.memory.engines["h1"].set_restart("shop-web-1-r1", "no")
        world.falls_over("shop-web-1-r1")
        assert (await world.do(start)).outcome.is_whole
        assert (await world.states())["shop-web-1-r1"] == "running"
        assert world.policies() == {"always"}

    run(story())


def test_what_bayplan_runs_has_its_name_again_after_somebody_renamed_it() -> None:
    async def story() -> None:
        world = await World().begin()
        engine = world.memory.engines["h1"]
        for role in ("guard", "gateway"):
            await engine.rename(f"bayplan-{role}-t", f"mine-{role}")
        assert (await world.do(start)).outcome.is_whole
        assert set(world.done) == {("rename", "bayplan-guard-t"), ("rename", "bayplan-gateway-t")}
        system = (await world.memory.facts()).hosts["h1"].engine.system
        assert {c.name for c in system} == {"bayplan-guard-t", "bayplan-gateway-t"}

    run(story())


def test_what_another_bayplan_has_another_digest_for_serves_until_its_successor_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had the same name, so it went first."""

    async def story() -> None:
        world = await World().begin({"web": service("web", 1)})
        monkeypatch.setattr("bayplan.plan.replica._MADE_OF", {"image", "command"})
        result = await world.do(start)
        assert (result.goal.release, await world.states()) == (2, {"shop-web-1-r2": "running"})
        assert world.done.index(("ready", "shop-web-1-r2")) < world.done.index(("drain", "shop-web-1-r1"))
        assert (await world.do(start)).goal.release == 2

    run(story())


def test_a_restart_replaces_such_a_one_instead_and_restarts_the_others() -> None:
    async def story() -> None:
        world = await World().begin()
        world.made_otherwise("shop-api-1-r1")
        world.made_otherwise("shop-web-1-r1")
        result = await world.do(restart)
        assert (result.outcome.is_whole, result.goal.release) == (True, 2)
        names = {"shop-web-1-r2", "shop-api-1-r2", *(f"shop-web-{n}-r1" for n in (2, 3, 4))}
        assert set(await world.states()) == names
        assert {name for k, name in world.done if k == "start"} == {f"shop-web-{n}-r1" for n in (2, 3, 4)}
        for name in ("shop-web-1", "shop-api-1"):
            assert world.done.index(("ready", f"{name}-r2")) < world.done.index(("drain", f"{name}-r1"))

    run(story())


def test_nothing_but_start_or_up_brings_it_back() -> None:
    async def story() -> None:
        world = await World().begin()
        await world.do(stop, "web")
        await scale(world.ports, "shop", {"api": 2}, Wishes(), lambda _: None)
        assert [s for n, s in (await world.states()).items() if "web" in n] == ["exited"] * 4
        result = await world.do(start, "web")
        assert result.outcome.is_whole
        assert set((await world.states()).values()) == {"running"}
        assert world.policies() == {"always"}
        assert {n.partition(".")[0] for n in await world.memory.taking_traffic()} >= {
            f"shop-web-{n}-r1" for n in (1, 4)
        }

    run(story())


def test_what_its_engine_cannot_change_any_more_keeps_nothing_from_starting() -> None:
    """A container that died as its engine removed it, and one that somebody removed by hand a moment ago."""

    async def story() -> None:
        world = await World().begin()
        await world.do(stop, "web")
        first, second = world.memory.engines["h1"], world.memory.engines["h2"]
        first.inner._containers["shop-web-1-r1"].state = "dead"
        first.refuses("set_restart", "shop-web-1-r1", EngineError("Container is marked for removal", where="h1"))
        second.fails["set_restart"] = [NotFoundError("No such container", where="h2")]
        await world.do(start, "web")
        states = await world.states()
        assert sum(s == "running" for n, s in states.items() if "web" in n) == 4

    run(story())


def test_a_service_whose_containers_cannot_be_changed_is_not_recorded_as_started() -> None:
    async def story() -> None:
        world = await World().begin()
        await world.do(stop, "web")
        world.memory.engines["h2"].fails["set_restart"] = [EngineError("the engine is busy", where="h2")]
        with pytest.raises(EngineError, match="the engine is busy"):
            await world.do(start, "web")
        newest = await latest(world.ports.releases, "shop")
        assert newest is not None
        assert newest.stopped == ("web",)

    run(story())


def test_to_scale_it_is_to_start_it() -> None:
    async def story() -> None:
        world = await World().begin()
        await world.do(stop)
        await scale(world.ports, "shop", {"web": 2}, Wishes(), lambda _: None)
        states = await world.states()
        assert sorted(n for n, s in states.items() if s == "running") == ["shop-web-1-r1", "shop-web-2-r1"]
        assert states["shop-api-1-r1"] == "exited"

    run(story())


def test_stopped_twice_is_stopped_once() -> None:
    async def story() -> tuple[int, ...]:
        world = await World().begin()
        await world.do(stop, "web")
        assert not (await world.do(stop, "web")).is_new
        return await world.ports.releases.numbers("shop")

    assert run(story()) == (1, 2)


def test_a_restart_takes_a_quarter_at_a_time_and_makes_nothing_new() -> None:
    async def story() -> None:
        world = await World().begin()
        result = await world.do(restart, "web")
        assert (result.outcome.is_whole, result.is_new) == (True, False)
        assert [what for what in world.done if what[0] in ("stop", "start")] == [
            (k, f"shop-web-{n}-r1") for n in (1, 2, 3, 4) for k in ("stop", "start")
        ]
        assert world.policies() == {"always"}
        assert len(await world.memory.taking_traffic()) == 5

    run(story())


def test_a_restart_never_takes_all_that_there_is() -> None:
    async def story() -> None:
        world = await World().begin({"web": service("web", 2, update=Update(parallelism=5))})
        await world.do(restart)
        assert [what for what in world.done if what[0] in ("stop", "start")] == [
            (k, f"shop-web-{n}-r1") for n in (1, 2) for k in ("stop", "start")
        ]

    run(story())


def test_what_is_down_comes_back_before_what_serves_is_restarted() -> None:
    async def story() -> None:
        world = await World().begin({"web": service("web", 2)})
        world.falls_over("shop-web-2-r1")
        assert (await world.do(restart, "web")).outcome.is_whole
        assert [what for what in world.done if what[0] in ("stop", "start")] == [
            ("start", "shop-web-2-r1"),
            ("stop", "shop-web-1-r1"),
            ("start", "shop-web-1-r1"),
        ]

    run(story())


def test_what_is_missing_comes_up_before_what_serves_is_restarted() -> None:
    async def story() -> None:
        world = await World().begin({"web": service("web", 2)})
        for engine in world.memory.engines.values():
            await engine.inner.remove("shop-web-2-r1", 0)
        assert (await world.do(restart, "web")).outcome.is_whole
        assert [k for k, _ in world.done if k in ("run", "stop", "start")] == ["run", "stop", "start"]

    run(story())


def test_what_hangs_is_restarted_all_at_once() -> None:
    async def story() -> None:
        world = await World().begin({"web": service("web", 4)})
        hung = ["shop-web-2-r1", "shop-web-3-r1", "shop-web-4-r1"]
        for engine in world.memory.engines.values():
            engine.running_since |= {name: math.inf for name in hung if name in engine.running_since}
        assert (await world.do(restart, "web")).outcome.is_whole
        stopped = [name for k, name in world.done if k == "stop"]
        assert (sorted(stopped[:3]), stopped[3:]) == (hung, ["shop-web-1-r1"])

    run(story())


@pytest.mark.parametrize("condition", ["service_started", "service_healthy"])
def test_a_restart_stops_nothing_that_could_not_start_again(condition: Condition) -> None:
    async def story() -> None:
        needs = {"db": Dependency(condition=condition)}
        world = await World().begin({"db": service("db", ports=()), "web": service("web", 4, depends_on=needs)})
        world.falls_over("shop-db-1-r1")
        result = await world.do(restart, "web")
        assert [(h.service, h.waits_for) for h in result.outcome.plan.held] == [("web", "db")]
        assert not result.outcome.is_whole
        assert world.done == []
        assert (await world.do(restart)).outcome.is_whole  # it begins with what web needs

    run(story())


def test_a_restart_that_ends_early_says_where_and_what_is_left() -> None:
    async def story() -> None:
        world = await World().begin()
        world.memory.engines["h2"].inner.answers = False
        told: list[str] = []
        await restart(world.ports, "shop", Wishes(), lambda e: told.append(e.text) if isinstance(e, Note) else None)
        assert told == [
            (
                "the restart ends at web: not all of it was restarted, and nothing of api; "
                "once that is mended: bayplan restart web api"
            )
        ]
        assert set((await world.states()).values()) == {"running"}

    run(story())


def test_a_restart_ends_when_what_it_needs_falls_over_meanwhile() -> None:
    async def story() -> None:
        needs = {"db": Dependency(condition="service_started")}
        world = await World().begin({"db": service("db", ports=()), "web": service("web", 4, depends_on=needs)})

        def note(event: Event) -> None:
            if isinstance(event, StepEvent) and event.state == "done" and kind(event.step) == "stop":
                world.falls_over("shop-db-1-r1")

        result = await restart(world.ports, "shop", Wishes(frozenset({"web"})), note)
        assert [h.waits_for for h in result.outcome.plan.held] == ["db"]
        assert [s for n, s in (await world.states()).items() if "web" in n].count("running") == 3

    run(story())


def test_what_others_need_stops_after_them_and_starts_before_them() -> None:
    async def story() -> None:
        needs = {"db": Dependency(condition="service_started")}
        world = await World().begin({"db": service("db", ports=()), "web": service("web", depends_on=needs)})
        for verb, step in ((stop, "stop"), (start, "start"), (restart, "start")):
            world.done.clear()
            await world.do(verb)
            order = [name for k, name in world.done if k == step]
            assert order == [f"shop-{n}-1-r1" for n in (("web", "db") if verb is stop else ("db", "web"))]

    run(story())


@pytest.mark.parametrize("mode", ["replicated", "global"])
def test_what_was_silent_when_its_service_was_stopped_is_stopped_later(mode: Mode) -> None:
    async def story() -> None:
        world = await World().begin({"web": service("web", 2, mode=mode), "api": service("api", ports=())})
        there = world.memory.engines["h2"].inner
        there.answers = False
        assert not (await world.do(stop, "web")).outcome.is_whole
        there.answers = True
        assert "running" in {s for n, s in (await world.states()).items() if "web" in n}
        world.done.clear()
        result = await scale(world.ports, "shop", {"api": 2}, Wishes(), world._note)
        assert result.outcome.is_whole
        assert {s for n, s in (await world.states()).items() if "web" in n} == {"exited"}
        assert [k for k, name in world.done if name == "shop-web-2-r1"] == ["drain", "leave", "stop"]
        assert world.policies() == {"no"}
        assert (await world.do(start, "web")).outcome.is_whole

    run(story())


def test_ps_tells_what_is_stopped_and_its_containers_if_they_are_asked_for() -> None:
    async def story() -> None:
        world = await World().begin()
        await world.do(stop, "web")
        web = (await standing(world.ports, "shop")).status.services[0]
        assert (web.stopped, web.replicas.desired, web.instances) == (True, 0, ())
        web = (await standing(world.ports, "shop", every=True)).status.services[0]
        assert [i.state for i in web.instances] == ["stopped"] * 4

    run(story())


def test_ps_tells_what_run_runs_if_it_is_asked_for() -> None:
    async def story() -> None:
        world = await World().begin()
        host, made = await prepare_run(world.ports, "shop", Wish("api", command=("sh",)), lambda _: None)
        await world.memory.engines[host].run(made)
        assert (await standing(world.ports, "shop")).status.runs == ()
        [one] = (await standing(world.ports, "shop", every=True)).status.runs
        assert (one.name, one.host, one.service, one.state) == (made.name, host, "api", "running")

    run(story())


def test_what_needs_something_stopped_starts_it_and_is_not_restarted_without_it() -> None:
    async def story() -> None:
        needs = {"db": Dependency(condition="service_started")}
        world = await World().begin({"db": service("db", ports=()), "web": service("web", depends_on=needs)})
        await world.do(stop)
        assert (await world.do(start, "web")).outcome.is_whole
        assert set((await world.states()).values()) == {"running"}
        await world.do(stop, "db")
        for named in ((), ("web",)):
            with pytest.raises(UsageError, match="db is stopped"):
                await world.do(restart, *named)

    run(story())


def test_what_is_stopped_is_not_restarted() -> None:
    async def story() -> None:
        world = await World().begin()
        await world.do(stop, "web")
        with pytest.raises(UsageError, match="web is stopped"):
            await world.do(restart, "web")
        world.done.clear()
        assert (await world.do(restart)).outcome.is_whole
        assert [name for k, name in world.done if k == "start"] == ["shop-api-1-r1"]

    run(story())


@pytest.mark.parametrize("verb", [stop, start, restart])
def test_a_service_that_is_not_there_is_told(verb: Callable[..., object]) -> None:
    async def story() -> None:
        with pytest.raises(UsageError, match="no service nope"):
            await (await World().begin()).do(verb, "nope")

    run(story())
