"""The loop over engines and gateways in memory, in virtual time: what it retries, what it tells, and when it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests import given
from tests.memory_fleet import BAD_IMAGE, EXITING_IMAGE, IMAGE, OTHER_IMAGE, MemoryFleet
from tests.virtual_time import run

from bayplan.container import Container
from bayplan.converge.loop import ROUNDS, TRIES, Convergence
from bayplan.converge.observe import HOST_DEADLINE
from bayplan.converge.sight import Sight
from bayplan.engines.memory_container import Program
from bayplan.errors import EngineError, GatewayError, HostUnreachableError, NoHostError, PortTakenError
from bayplan.facts import EngineFacts, Facts
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.guard import KEPT
from bayplan.plan.plan import plan
from bayplan.plan.standing import LOOP_DEADLINE
from bayplan.plan.steps import Configure, Plan, PoolChange, Pull, Run, Start, kind, subject
from bayplan.ports import ExecResult
from bayplan.routing import Table
from bayplan.spec.model import Dependency, Healthcheck, Placement, Resources, Service, Update
from bayplan.spec.storage import Mount, Volume

THREE = given.fleet("h1", "h2", "h3")


def web(replicas: int = 3, **more: object) -> Goal:
    return given.goal(THREE, given.service(replicas=replicas, **more))


def next_release(goal: Goal, **changes: object) -> Goal:
    service = goal.app.services["web"].model_copy(update=changes)
    app = goal.app.model_copy(update={"services": {"web": service}})
    before = {n: s.replicas for n, s in goal.app.services.items()}
    return replace(goal, app=app, release=goal.release + 1, before=before)


def servers(release: int, *slots_and_hosts: str) -> list[str]:
    """`servers(1, "1.h1")` is `["shop-web-1-r1.h1"]`."""
    return [f"shop-web-{s.partition('.')[0]}-r{release}.{s.partition('.')[2]}" for s in slots_and_hosts]


def test_from_nothing_to_an_app_that_is_served() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        outcome = await fleet.up(web())
        assert outcome.is_whole
        assert await fleet.names() == servers(1, "1.h1", "2.h2", "3.h3")
        assert await fleet.taking_traffic() == set(await fleet.names())
        assert fleet.kinds() >= Counter(run=3, network=3, join=3, ready=3, pull=6)

    run(story())


def test_with_nothing_to_do_it_looks_once_and_does_nothing() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())
        outcome = await fleet.up(web())
        assert (outcome.is_whole, outcome.passes, fleet.steps("started")) == (True, 1, [])

    run(story())


def test_a_step_that_fails_once_is_done_again_and_nobody_is_bothered() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        fleet.engines["h2"].fails["run"] = [EngineError("the engine is busy", where="h2")]
        outcome = await fleet.up(web())
        assert outcome.is_whole
        assert fleet.steps("failed") == []

    run(story())


def test_what_was_done_though_its_answer_was_lost_is_no_failure() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(0))
        engine = fleet.engines["h2"].inner
        make = engine.ensure_network

        async def made_and_cut_off(name: str, bridge: str, labels: Mapping[str, str]) -> None:
            await make(name, bridge, labels)
            raise HostUnreachableError("the connection to the engine broke", where="h2")

        engine.ensure_network = made_and_cut_off  # type: ignore[method-assign]
        outcome = await fleet.up(web(3))
        assert outcome.errors == ()
        assert outcome.is_whole

    run(story())


def test_what_keeps_failing_is_told_with_every_other_failure_and_the_rest_is_done() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(0))
        fleet.engines["h2"].fails["run"] = [EngineError("no space left on device", where="h2")] * 9
        fleet.engines["h3"].fails["pull"] = [EngineError("connection reset", where="h3")] * 9
        outcome = await fleet.up(web(3))
        assert {(type(step), error.where) for step, error in outcome.errors} == {(Run, "h2"), (Pull, "h3")}
        assert await fleet.names() == servers(1, "1.h1", "3.h1")  # what cannot be fetched on h3 is on h1 already
        assert not outcome.is_whole
        assert len(fleet.engines["h2"].fails["run"]) == 9 - TRIES

    run(story())


@pytest.mark.parametrize("image", [IMAGE, THREE.gateway_image])
def test_a_host_that_cannot_fetch_an_image_is_passed_over_and_told(image: str) -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        fleet.engines["h2"].unfetched = {image}
        outcome = await fleet.up(web(3))
        assert await fleet.names() == servers(1, "1.h1", "2.h3", "3.h1")
        assert await fleet.taking_traffic() == set(await fleet.names())
        assert [(type(step), step.host, error.where) for step, error in outcome.errors] == [(Pull, "h2", "h2")]
        assert (outcome.plan.unplaced, outcome.stalled, outcome.is_whole) == ((), (), False)

    run(story())


def test_nothing_is_started_where_the_guard_cannot_keep_the_firewall_and_what_stands_there_serves_on() -> None:
    """`up` said that all was done while replicas' ports answered from outside; only `doctor` told."""
    refused = Program(on_exec=lambda _: ExecResult(1, b"iptables: Permission denied\n"))

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())
        guard = fleet.engines["h2"].inner._container("bayplan-guard-t")
        guard.program = refused
        outcome = await fleet.up(web(4))
        assert outcome.facts.hosts["h2"].unguarded == "iptables: Permission denied"
        assert await fleet.names() == servers(1, "1.h1", "2.h2", "3.h3", "4.h1")
        everywhere = given.goal(THREE, given.service("all", mode="global", ports=()), release=2)
        (left,) = (await fleet.up(everywhere)).plan.unplaced
        assert [w.reason for w in left.why] == ["its guard cannot keep the firewall: iptables: Permission denied"]

    run(story())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ((KEPT,), ""),
        ((KEPT, "the firewall cannot be kept: see the lines above"), "iptables: Permission denied"),
        ((KEPT, "begins to keep the firewall"), "iptables: Permission denied"),
    ],
)
def test_the_firewall_is_asked_only_where_its_guard_does_not_say_that_all_is_well(
    said: tuple[str, ...], why: str
) -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())
        guard = fleet.engines["h2"].inner._container("bayplan-guard-t")
        guard.lines = [("stdout", line) for line in said]
        guard.program = Program(on_exec=lambda _: ExecResult(1, b"iptables: Permission denied\n"))
        assert (await fleet.up(web(4))).facts.hosts["h2"].unguarded == why

    run(story())


def test_an_image_that_no_host_can_fetch_is_looked_for_no_further() -> None:
    async def story() -> None:
        many = given.fleet(*(f"h{n}" for n in range(1, 10)))
        fleet = MemoryFleet(many)
        for engine in fleet.engines.values():
            engine.unfetched = {IMAGE}
        outcome = await fleet.up(given.goal(many, given.service(replicas=2)))
        assert await fleet.names() == []
        assert {step.host for step, _ in outcome.errors} == {"h1", "h2"}

    run(story())


@pytest.mark.parametrize("replicas", [1, 3])
def test_stop_first_nothing_goes_for_an_image_that_cannot_be_fetched(replicas: int) -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        goal = web(replicas, update=Update(order="stop-first"))
        await fleet.up(goal)
        before = await fleet.names()
        for engine in fleet.engines.values():
            engine.unfetched = {OTHER_IMAGE}
        outcome = await fleet.up(next_release(goal, image=OTHER_IMAGE))
        assert await fleet.taking_traffic() == set(before) == set(await fleet.names())
        assert {type(step) for step, _ in outcome.errors} == {Pull}
        assert not outcome.is_whole
        for engine in fleet.engines.values():
            engine.unfetched = set()
        assert (await fleet.up(next_release(goal, image=OTHER_IMAGE))).is_whole

    run(story())


def test_a_port_that_something_else_holds_is_left_to_it() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(0))
        fleet.engines["h1"].fails["run"] = [PortTakenError("port 28080 is taken", where="h1")]
        outcome = await fleet.up(web(1))
        assert outcome.is_whole
        [replica] = (await fleet.facts()).replicas()
        assert [b.port for b in replica.ports] == [28081]

    run(story())


def test_a_stopped_replica_whose_port_was_taken_meanwhile_is_replaced() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(1))
        fleet.engines["h1"].inner.container("shop-web-1-r1").exit(0, by_hand=True)
        fleet.engines["h1"].fails["start"] = [PortTakenError("port 28080 is taken", where="h1")]
        outcome = await fleet.up(web(1))
        assert outcome.is_whole
        [replica] = (await fleet.facts()).replicas()
        assert [b.port for b in replica.ports] == [28081]

    run(story())


def test_a_host_that_does_not_answer_holds_up_nobody() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        fleet.engines["h3"].inner.answers = False
        began = asyncio.get_running_loop().time()
        outcome = await fleet.up(web(4))
        assert not outcome.is_whole
        assert (outcome.errors, outcome.failures, outcome.plan.unplaced) == ((), (), ())
        assert {n.rpartition(".")[2] for n in await fleet.names()} == {"h1", "h2"}
        assert asyncio.get_running_loop().time() - began < 15

    run(story())


def test_a_balancer_that_does_not_answer_keeps_what_it_may_send_requests_to_and_is_not_waited_for() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(3))
        fleet.engines["h1"].inner.answers = False
        began = asyncio.get_running_loop().time()
        outcome = await fleet.up(next_release(web(3), image=OTHER_IMAGE))
        assert not outcome.is_whole
        assert set(servers(1, "2.h2", "3.h3")) <= set(await fleet.names())
        assert asyncio.get_running_loop().time() - began < 30

    run(story())


def test_a_host_that_falls_silent_in_the_middle_is_told_and_the_others_converge() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(0))
        fleet.engines["h3"].fails["run"] = [HostUnreachableError("no route to host", where="h3")] * 9
        outcome = await fleet.up(web(3))
        assert set(servers(1, "1.h1", "2.h2")) <= set(await fleet.names())
        assert not outcome.is_whole

    run(story())


def test_what_a_run_started_on_a_host_is_not_started_elsewhere_when_the_host_falls_silent() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(0))
        loop = asyncio.get_running_loop()
        loop.call_later(2.7, setattr, fleet.engines["h1"].inner, "answers", False)  # the balancer, with a replica on it
        await fleet.up(web(3))
        fleet.engines["h1"].inner.answers = True
        assert await fleet.names() == servers(1, "1.h1", "2.h2", "3.h3")

    run(story())


def test_what_a_run_saw_on_a_host_is_known_to_its_planner_when_the_host_falls_silent() -> None:
    """A replica that another run left starting is in no pool that would tell of it."""
    known: list[Memory] = []

    def planner(_facts: Facts, _now: float, memory: Memory) -> Plan:
        known.append(memory)
        return Plan()

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(3))
        await Convergence(fleet.ports, planner, fleet.events.append).run()
        assert known[0].stood == {f"h{n}": frozenset({("shop", "web", n)}) for n in (1, 2, 3)}

    run(story())


def test_a_host_that_is_slow_not_to_answer_is_asked_aside() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(2))

        async def no_answer(_fleet: str) -> None:
            await asyncio.sleep(8)  # about as long as ssh tries
            raise HostUnreachableError("connection timed out", where="h3")

        fleet.engines["h3"].inner.observe = no_answer  # type: ignore[assignment,method-assign]
        began = asyncio.get_running_loop().time()
        outcome = await fleet.up(next_release(web(2), image=OTHER_IMAGE))
        assert asyncio.get_running_loop().time() - began < 8 + 3 + 8 + 1
        assert outcome.facts.hosts["h3"].why == "connection timed out"
        assert await fleet.names() == servers(2, "1.h1", "2.h2")

    run(story())


def test_a_step_that_breaks_while_the_run_looks_ends_the_run() -> None:
    """An error that is none of ours: a mistake in bayplan, which nobody may do a second time."""

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(2))  # of three: on h1 and h2
        for engine in fleet.engines.values():
            engine.inner.observe = slowly(engine.inner.observe)  # type: ignore[method-assign]
        tried = 0

        async def broken(_container: Container) -> str:
            nonlocal tried
            tried += 1
            await asyncio.sleep(0.7)
            raise ZeroDivisionError

        fleet.engines["h3"].inner.run = broken  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await fleet.up(web())
        assert tried == 1

    def slowly(observe: Callable[[str], Awaitable[EngineFacts]]) -> Callable[[str], Awaitable[EngineFacts]]:
        async def after_a_while(fleet: str) -> EngineFacts:
            await asyncio.sleep(1)
            return await observe(fleet)

        return after_a_while

    run(story())


def test_a_join_that_the_gateway_refuses_is_told_with_the_replica_that_fails_for_it() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        gateway = fleet.gateways["h1"]
        refuse = "'tcp-ut' option is not accepted"

        async def change(changes: Sequence[PoolChange]) -> Mapping[PoolChange, str]:
            return dict.fromkeys(changes, refuse)

        gateway.change = change  # type: ignore[method-assign]
        outcome = await fleet.up(web(2))
        assert outcome.failures
        assert {error.what for _, error in outcome.errors} == {refuse}

    run(story())


def test_when_nobody_answers_it_says_why_for_each_host() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        for engine in fleet.engines.values():
            engine.inner.answers = False
        with pytest.raises(NoHostError, match="h2"):
            await fleet.up(web())

    run(story())


def test_a_release_that_exits_is_told_once_and_the_one_before_keeps_serving() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())
        outcome = await fleet.up(next_release(web(), image=EXITING_IMAGE))
        assert [f.replica for f in outcome.failures] == ["shop-web-1-r2"]
        assert "again and again" in outcome.failures[0].why
        assert await fleet.taking_traffic() == set(servers(1, "1.h1", "2.h2", "3.h3"))

    run(story())


def test_a_release_whose_port_never_answers_is_given_up_at_its_deadline() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())
        began = asyncio.get_running_loop().time()
        outcome = await fleet.up(next_release(web(), image=BAD_IMAGE))
        assert [f.replica for f in outcome.failures] == ["shop-web-1-r2"]
        assert "within 60 s" in outcome.failures[0].why
        assert 60 < asyncio.get_running_loop().time() - began < 75
        assert await fleet.taking_traffic() == set(servers(1, "1.h1", "2.h2", "3.h3"))

    run(story())


def test_a_release_after_a_broken_one_replaces_both() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())
        broken = next_release(web(), image=EXITING_IMAGE)
        await fleet.up(broken)
        outcome = await fleet.up(next_release(broken, image=OTHER_IMAGE))
        assert outcome.is_whole
        assert await fleet.names() == servers(3, "1.h1", "2.h2", "3.h3")

    run(story())


def test_a_slow_start_of_a_stopped_replica_is_not_taken_for_an_exit() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(1))
        fleet.engines["h1"].inner.container("shop-web-1-r1").exit(0, by_hand=True)
        outcome = await fleet.up(web(1))
        assert outcome.is_whole
        assert any(isinstance(s, Start) for s in fleet.steps())

    run(story())


def test_a_gateway_is_configured_as_often_as_one_more_listener_has_somebody() -> None:
    """Services that wait for each other, and a gateway that fails now and then."""
    many = ROUNDS + 5
    after = [{}, *({f"s{n}": Dependency(condition="service_healthy")} for n in range(1, many))]
    services = [
        given.service(f"s{n}", ports=(given.ingress(100 + n),), depends_on=after[n - 1]) for n in range(1, many)
    ]

    async def story() -> None:
        fleet = MemoryFleet(THREE, cpus=16)
        gateway, calls = fleet.gateways["h1"], 0
        configure = gateway.configure

        async def now_and_then(table: Table) -> None:
            nonlocal calls
            calls += 1
            if calls % 5 == 0:
                raise GatewayError("it was just made anew", where="h1")
            await configure(table)

        gateway.configure = now_and_then  # type: ignore[method-assign]
        assert (await fleet.up(given.goal(THREE, *services))).is_whole
        assert calls > ROUNDS

    run(story())


def test_a_listener_port_that_the_host_holds_is_told_at_once() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        fleet.gateways["h1"].taken.add(80)
        began = asyncio.get_running_loop().time()
        outcome = await fleet.up(web(2))
        assert {type(step) for step, _ in outcome.errors} == {Configure}
        assert all(isinstance(error, GatewayError) for _, error in outcome.errors)
        assert asyncio.get_running_loop().time() - began < 30

    run(story())


@pytest.mark.parametrize(("cores", "at_once"), [(1, 2), (4, 4), (64, 8)])
def test_one_host_is_given_as_many_containers_at_a_time_as_it_has_cores(cores: int, at_once: int) -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE, cpus=cores)
        await fleet.up(web(30))
        assert {e.most["run"] for e in fleet.engines.values()} == {at_once}
        assert len(await fleet.names()) == 30

    run(story())


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
@pytest.mark.parametrize("tenths", range(1, 80, 3))
def test_killed_at_any_moment_of_a_rollout_and_started_again_nothing_is_lost_or_doubled(
    order: str, tenths: int
) -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        goal = web(4, update=Update(order=order, parallelism=2), healthcheck=CHECK)  # type: ignore[arg-type]
        await fleet.up(goal)
        release = next_release(goal, image=OTHER_IMAGE, replicas=5)
        await fleet.up_killed_after(release, tenths / 10)
        outcome = await fleet.up(release)
        assert outcome.is_whole
        names = await fleet.names()
        assert [n.partition(".")[0] for n in names] == [f"shop-web-{slot}-r2" for slot in range(1, 6)]
        assert await fleet.taking_traffic() == set(names)

    run(story())


@pytest.mark.parametrize("tenths", range(0, 80, 3))
def test_of_two_releases_at_once_the_later_stands_and_the_site_is_never_without_a_replica(tenths: int) -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        first = web(4, update=Update(parallelism=2))
        await fleet.up(first)
        second = next_release(first, image=OTHER_IMAGE)
        third = next_release(second, replicas=5, image=IMAGE, environment={"V": "3"})
        earlier = asyncio.create_task(fleet.up(second))
        await asyncio.sleep(tenths / 10)
        later = asyncio.create_task(fleet.up(third))
        while not later.done():
            assert len(await fleet.taking_traffic()) >= 4
            await asyncio.sleep(0.05)
        assert (await later).is_whole
        overtaken = (await earlier).failures
        assert not overtaken or "release 3" in overtaken[0].why
        assert {n.partition(".")[0] for n in await fleet.names()} == {f"shop-web-{slot}-r3" for slot in range(1, 6)}

    run(story())


CHECK = Healthcheck(test=("CMD", "true"), interval=1.0, timeout=1.0, retries=3)


def test_a_service_without_listeners_is_done_when_it_has_stayed_up() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        worker = Service(name="worker", image=given.IMAGE, replicas=2)
        outcome = await fleet.up(given.goal(THREE, worker))
        assert outcome.is_whole
        assert len(await fleet.names()) == 2

    run(story())


def test_one_on_each_host_and_on_a_new_one_at_the_next_up() -> None:
    async def story() -> None:
        everywhere = given.goal(THREE, given.service(mode="global"))
        fleet = MemoryFleet(THREE)
        fleet.engines["h3"].inner.answers = False
        assert not (await fleet.up(everywhere)).is_whole
        assert await fleet.names() == servers(1, "1.h1", "2.h2")
        fleet.engines["h3"].inner.answers = True
        assert (await fleet.up(everywhere)).is_whole
        assert fleet.kinds()["run"] == 1
        assert await fleet.taking_traffic() == set(servers(1, "1.h1", "2.h2", "3.h3"))
        outcome = await fleet.up(next_release(everywhere, image=OTHER_IMAGE))
        assert outcome.is_whole
        assert await fleet.taking_traffic() == set(servers(2, "1.h1", "2.h2", "3.h3"))

    run(story())


def test_a_host_that_was_silent_for_long_a_moment_ago_is_not_waited_for_again() -> None:
    """Connections that hang are given up after ten seconds: once a run, not at each of its ends."""

    async def story() -> float:
        fleet = MemoryFleet(THREE)
        await fleet.up(web())

        async def hangs(*_: object) -> None:
            await asyncio.sleep(60)

        fleet.engines["h3"].observe = hangs  # type: ignore[attr-defined]
        sight, began = Sight(fleet.ports), asyncio.get_running_loop().time()
        await sight.look()
        for _ in range(2):
            outcome = await Convergence(
                fleet.ports, lambda facts, now, memory: plan(web(), facts, now, memory), lambda _: None, sight=sight
            ).run()
        assert [h.name for h in outcome.facts.hosts.values() if not h.reachable] == ["h3"]
        return asyncio.get_running_loop().time() - began

    assert run(story()) < HOST_DEADLINE + 1


def database(name: str, release: int, **more: Any) -> Goal:
    """With a listener, and with a volume that it writes to."""
    mounts = (Mount(kind="volume", source="data", target="/data"),)
    goal = given.goal(THREE, given.service(name, 1, mounts=mounts, **more), release=release)
    return replace(goal, app=goal.app.model_copy(update={"volumes": {"data": Volume(name="shop_data")}}))


def test_a_service_that_is_given_another_name_has_its_volume_alone() -> None:
    """Its listener leads to the old one until then: start-first, two would write to the volume."""

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        assert (await fleet.up(database("db", 1))).is_whole
        fleet.events.clear()
        outcome = await fleet.up(database("sql", 2))
        done = [f"{kind(s)} {subject(s).partition('.')[0]}" for s in fleet.steps("done")]
        assert done.index("remove shop-db-1-r1") < done.index("run shop-sql-1-r2")
        assert outcome.is_whole
        assert await fleet.taking_traffic() == set(await fleet.names())

    run(story())


def test_one_that_no_host_can_take_lets_what_had_its_volume_stay() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(database("db", 1))
        nowhere = Placement(constraints=("node.hostname == h9",))
        outcome = await fleet.up(database("sql", 2, placement=nowhere))
        assert [u.service for u in outcome.plan.unplaced] == ["sql"]
        assert [n.partition(".")[0] for n in await fleet.names()] == ["shop-db-1-r1"]

    run(story())


def test_a_volume_that_goes_to_another_service_has_one_writer() -> None:
    """The one that had it stays, as something else: a proxy of the same name is put before a database."""
    pooler = given.service("db", image=OTHER_IMAGE, depends_on={"sql": Dependency(condition="service_healthy")})

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        assert (await fleet.up(database("db", 1))).is_whole
        goal = database("sql", 2, ports=())
        goal = replace(goal, app=goal.app.model_copy(update={"services": {"db": pooler, **goal.app.services}}))
        outcome = await fleet.up(goal)
        done = [f"{kind(s)} {subject(s).partition('.')[0]}" for s in fleet.steps("done")]
        assert done.index("remove shop-db-1-r1") < done.index("run shop-sql-1-r2") < done.index("run shop-db-1-r2")
        assert outcome.is_whole

    run(story())


def test_no_empty_database_is_begun_while_one_answers_on_a_host_that_is_gone_from_the_fleet() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        there = Placement(constraints=("node.hostname == h3",))
        assert (await fleet.up(database("db", 1, placement=there))).is_whole
        on = given.fleet("h1", "h2")
        engines, gateways = ({n: of[n] for n in on.hosts} for of in (fleet.engines, fleet.gateways))
        fleet.ports = replace(fleet.ports, fleet=on, engines=engines, gateways=gateways)  # type: ignore[arg-type]
        for runs in (True, False):
            outcome = await fleet.up(replace(database("db", 2), fleet=on))
            assert outcome.is_whole is not runs
            assert bool(await fleet.names()) is not runs
            assert ("may be on h3" in str(outcome.plan.unplaced)) is runs
            await fleet.engines["h3"].inner.stop("shop-db-1-r1", 0)

    run(story())


def test_a_lower_max_replicas_per_node_moves_what_a_host_has_too_much_of() -> None:
    """As soon as others can take it; until then it serves on, and what does not fit is told."""

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        only_two = Placement(constraints=("node.hostname != h3",))
        await fleet.up(web(4, placement=only_two))
        on_two = servers(1, "1.h1", "2.h2", "3.h1", "4.h2")
        assert await fleet.names() == on_two
        tight = await fleet.up(web(4, placement=only_two.model_copy(update={"max_per_host": 1})))
        assert [u.service for u in tight.plan.unplaced] == ["web"]
        assert await fleet.taking_traffic() == set(on_two)
        outcome = await fleet.up(web(4, placement=Placement(max_per_host=2)))
        assert (outcome.is_whole, await fleet.names()) == (True, on_two)
        assert (await fleet.up(web(3, placement=Placement(max_per_host=1)))).is_whole
        assert await fleet.names() == servers(1, "1.h1", "2.h2", "3.h3")

    run(story())


def test_a_database_stays_where_the_one_after_it_would_fit_nowhere() -> None:
    """Of its own service, and of another that is to have its volume."""

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(database("db", 1))
        big = Resources(reserved_memory=400 * given.GB)
        for name in ("db", "sql"):
            outcome = await fleet.up(database(name, 2, resources=big))
            assert [u.service for u in outcome.plan.unplaced] == [name]
            assert [n.partition(".")[0] for n in await fleet.names()] == ["shop-db-1-r1"]

    run(story())


def test_what_a_listener_leads_to_is_not_waited_for_when_its_successor_failed() -> None:
    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(web(2))
        other = given.goal(THREE, given.service("site", 2, image=EXITING_IMAGE, restart="no"), release=2)
        began = asyncio.get_running_loop().time()
        outcome = await fleet.up(other)
        assert outcome.failures
        assert asyncio.get_running_loop().time() - began < LOOP_DEADLINE + 10
        assert {n.partition(".")[0] for n in await fleet.taking_traffic()} == {"shop-web-1-r1", "shop-web-2-r1"}

    run(story())


@pytest.mark.parametrize("image", [OTHER_IMAGE, EXITING_IMAGE])
def test_a_port_that_another_service_is_to_have_is_answered_all_along(image: str) -> None:
    """A proxy that is put before it, and waits for every one of its replicas."""
    site = given.service("site", 2)
    inner = site.model_copy(update={"ports": ()})
    proxy = given.service("proxy", 2, image=image, depends_on={"site": Dependency(condition="service_healthy")})

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        await fleet.up(given.goal(THREE, site))
        working = asyncio.create_task(fleet.up(given.goal(THREE, inner, proxy, release=2)))
        while not working.done():
            seen = await fleet.gateways["h1"].observe()
            [front] = seen.table.listeners
            assert any(s.state == "ready" and s.up for s in seen.pools[front.routes[0].pool])
            await asyncio.sleep(0.05)
        is_well = image == OTHER_IMAGE
        assert (await working).is_whole is is_well
        old = [name for name in await fleet.names() if name.startswith("shop-site") and "-r1." in name]
        assert old == ([] if is_well else ["shop-site-1-r1.h1", "shop-site-2-r1.h2"])

    run(story())


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_service_that_is_to_have_a_port_of_the_host_gets_it_from_the_one_that_has_it_no_more(is_kept: bool) -> None:
    """Also where a listener leads to that one until the other serves."""
    on = given.fleet("h1")
    ports = (given.ingress(80), given.ingress(2222, 22, mode="host"))
    after = {"git": Dependency(condition="service_healthy")} if is_kept else {}
    git = [given.service("git", ports=())] if is_kept else []

    async def story() -> None:
        fleet = MemoryFleet(on)
        await fleet.up(given.goal(on, given.service("git", ports=ports)))
        forge = given.service("forge", ports=ports, depends_on=after)
        assert (await fleet.up(given.goal(on, *git, forge, release=2))).is_whole

    run(story())


def test_two_services_swap_their_ports_of_the_host() -> None:
    on = given.fleet("h1")

    def goal(release: int, one: int, other: int) -> Goal:
        ports = {name: (given.ingress(port, 53, mode="host"),) for name, port in (("a", one), ("b", other))}
        return given.goal(on, *(given.service(name, ports=ports[name]) for name in ports), release=release)

    async def story() -> None:
        fleet = MemoryFleet(on)
        await fleet.up(goal(1, 5301, 5302))
        assert (await fleet.up(goal(2, 5302, 5301))).is_whole

    run(story())


def test_on_this_machine_replicas_that_write_one_volume_come_up_and_are_replaced_one_by_one() -> None:
    """As docker compose has them; on a fleet the file is refused."""

    async def story() -> None:
        fleet = MemoryFleet(given.fleet("h1", local=True))
        mount = Mount(kind="volume", source="data", target="/d")
        first = given.goal(fleet.fleet, given.service(replicas=2, mounts=(mount,)))
        first = replace(first, app=first.app.model_copy(update={"volumes": {"data": Volume(name="shop_data")}}))
        assert (await fleet.up(first)).is_whole
        assert await fleet.names() == servers(1, "1.h1", "2.h1")
        assert (await fleet.up(next_release(first, image=OTHER_IMAGE))).is_whole
        assert await fleet.names() == servers(2, "1.h1", "2.h1")
        assert await fleet.taking_traffic() == set(await fleet.names())
        more = next_release(next_release(first, image=OTHER_IMAGE), image=OTHER_IMAGE, replicas=3)
        assert (await fleet.up(more)).is_whole
        assert len(await fleet.names()) == 3
        assert [v.name for v in await fleet.engines["h1"].volumes()] == ["shop_data"]

    run(story())


def test_a_stopped_container_that_cannot_be_removed_holds_up_no_rollout() -> None:
    """An engine whose disk is busy keeps what it was to remove: it is told, and its slot has a successor that serves."""

    async def story() -> None:
        fleet = MemoryFleet(THREE)
        first = web(4, update=Update(parallelism=1))
        await fleet.up(first)
        [host] = [r.host for r in (await fleet.facts()).replicas() if r.slot == 1]
        engine = fleet.engines[host]
        stop = engine.inner.stop

        async def stopped_and_kept(name: str, grace: float | None) -> None:
            await stop(name, grace)
            raise EngineError("driver failed to remove root filesystem: device or resource busy", where=host)

        remove = engine.inner.remove

        async def removed(name: str, grace: float | None) -> None:
            await (stopped_and_kept if name == "shop-web-1-r1" else remove)(name, grace)

        engine.inner.remove = removed  # type: ignore[method-assign]
        outcome = await fleet.up(next_release(first, image=OTHER_IMAGE))
        assert [(subject(step), error.where) for step, error in outcome.errors] == [("shop-web-1-r1", host)]
        states = {r.name: r.state for r in (await fleet.facts()).replicas()}
        assert states == {"shop-web-1-r1": "exited"} | {f"shop-web-{n}-r2": "running" for n in range(1, 5)}

    run(story())
