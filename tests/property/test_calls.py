"""A release that changes the ports of a service and, with them, what its callers call: no call meets nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given as with_any
from hypothesis import strategies as st
from tests import given
from tests.property.driver import Driver
from tests.property.stories import BROKEN, GOOD, fleets
from tests.property.world import BrokenPromiseError, World

from bayplan.plan.goal import Goal
from bayplan.plan.replica import release_of, slot_and_host
from bayplan.spec.model import App, Dependency, Exposed, Fleet, Resources, Service, Update

NUMBERS = {"web": 1, "api": 2, "backend": 3, "worker": 4}


@dataclass(frozen=True)
class Call:
    """What the web of a release calls."""

    service: str
    port: int


class Calling(World):
    """A world in which web calls another service. calls: by release, once it is to be answered."""

    def __init__(self, fleet: Fleet) -> None:
        self.calls: dict[int, Call] = {}
        super().__init__(fleet)

    def check(self) -> None:
        super().check()
        for name in set(self._at_work()):
            call, told = self.calls.get(release_of(name)), slot_and_host(name)
            if call and told and not self._is_answered(call, told[1]):
                raise BrokenPromiseError(f"{name} takes traffic and calls {call}, where nobody answers")

    def _at_work(self) -> Iterator[str]:
        """The web that answers clients."""
        for gateway in (machine.gateway for machine in self.hosts.values()):
            led = {r.pool for front in gateway.table.listeners if not front.is_inner for r in front.routes}
            for pool in (p for p in gateway.table.pools if p.service == "web" and p.name in led):
                there = gateway.pools.get(pool.name, {}).values()
                yield from (s.server.name for s in there if s.state == "ready" and self.is_well(pool, s.server))

    def _is_answered(self, call: Call, host: str) -> bool:
        gateway, pool = self.hosts[host].gateway, f"shop.{call.service}.{call.port}"
        fronts = (f for f in gateway.table.listeners if f.is_inner and f.port == call.port)
        there = gateway.pools.get(pool, {}).values()
        is_led = any(route.pool == pool for front in fronts for route in front.routes)
        return is_led and any(s.state == "ready" and self.answers(s.server) for s in there)


@st.composite
def releases(draw: st.DrawFn, images: tuple[str, ...] = GOOD) -> tuple[App, Call]:
    """Web, what it calls, and perhaps a worker that nobody calls."""
    name, update = draw(st.sampled_from(("api", "api", "backend"))), Update(parallelism=draw(st.integers(0, 2)))
    ports = draw(st.sampled_from(((8000,), (9000,), (8000, 9000))))
    call = Call(name, draw(st.sampled_from(ports)))
    told = {"environment": {"CALLS": f"{call}"}, "update": update, "replicas": draw(st.integers(1, 3))}
    target = draw(st.sampled_from((8080, 9090)))
    web = _service("web", image=GOOD[0], ports=(given.ingress(80, target),), **told)
    if draw(st.booleans()):
        web = web.model_copy(update={"depends_on": {name: Dependency()}})
    inner = {"replicas": draw(st.integers(1, 3)), "expose": tuple(Exposed(port=p) for p in ports)}
    api = _service(name, image=draw(st.sampled_from(images)), update=update, **inner)
    worker = _service("worker", image=draw(st.sampled_from(GOOD)))
    return App(name="shop", services={s.name: s for s in draw(st.permutations((web, api, worker)))}), call


def _service(name: str, **more: object) -> Service:
    return given.service(name, **{"address": f"198.18.1.{NUMBERS[name]}", "ports": (), **more})


def standing(fleet: Fleet, app: App, call: Call) -> tuple[Driver, Calling]:
    """The first release, where it should be."""
    world = Calling(fleet.model_copy(update={"ports": (20000, 29999)}))
    world.may_be_emptied = frozenset({"api", "backend"})  # whether they are missed is seen at their callers
    driver = Driver(world, Goal(world.fleet, app, 1))
    driver.settle()
    world.tick()
    world.calls[1] = call
    return driver, world


@with_any(fleets(), releases(), releases(), st.lists(st.integers(1, 9), max_size=3))
def test_no_call_of_a_good_release_meets_nobody_nor_does_one_of_going_back(
    fleet: Fleet, one: tuple[App, Call], two: tuple[App, Call], kills: list[int]
) -> None:
    driver, world = standing(fleet, *one)
    for app, call in (two, one):
        driver.release(app)
        world.calls[driver.goal.release] = call
        driver.killed(kills)
        end = driver.settle()
        assert end.is_empty
        assert not end.held
        world.tick()


@with_any(fleets(), releases(), releases(BROKEN))
def test_no_call_meets_nobody_when_what_is_called_never_becomes_ready(
    fleet: Fleet, one: tuple[App, Call], two: tuple[App, Call]
) -> None:
    driver, world = standing(fleet, *one)
    driver.release(two[0])
    if one[1].service != two[1].service or two[1].port not in _exposed(one[0], two[1].service):
        world.calls[2] = two[1]
    assert driver.settle().failures


def _exposed(app: App, service: str) -> set[int]:
    return {e.port for e in app.services[service].expose}


@with_any(st.integers(1, 3), st.integers(1, 5), st.integers(0, 2))
def test_where_not_all_can_stay_that_are_called_the_release_stands_all_the_same(
    web: int, api: int, at_once: int
) -> None:
    """Two hosts with room for eight; one more than stand fits for sure."""
    room, update = Resources(reserved_cpus=1.0), Update(parallelism=at_once)

    def release(port: int) -> App:
        more = {"resources": room, "update": update}
        told = {"environment": {"CALLS": f"api:{port}"}, "ports": (given.ingress(80, 8080),)}
        services = (_service("web", replicas=min(web, 7 - api), **told, **more),
                    _service("api", replicas=api, expose=(Exposed(port=port),), **more))  # fmt: skip
        return App(name="shop", services={s.name: s for s in services})

    driver, world = standing(given.fleet("h1", "h2"), release(8000), Call("api", 8000))
    world.calls.clear()
    driver.release(release(9000))
    end = driver.settle()
    assert end.is_empty
    assert not end.unplaced
    assert {r.release for r in world.replicas()} == {2}


@pytest.mark.parametrize("replicas", [2, 1])
def test_two_that_clients_ask_and_that_both_lose_a_port_do_not_keep_each_other(replicas: int) -> None:
    """Those of before took requests for good, beside those of the release, and nothing told it."""

    def release(*exposed: int, replicas: int = 2) -> App:
        more = {"replicas": replicas, "expose": tuple(Exposed(port=p) for p in exposed)}
        web, api = (_service(n, ports=(given.ingress(p, 8080),), **more) for n, p in (("web", 80), ("api", 81)))
        return App(name="shop", services={"web": web, "api": api})

    driver, world = standing(given.fleet("h1", "h2"), release(9000), Call("api", 9000))
    driver.release(release(replicas=replicas))
    assert driver.settle().is_empty
    assert [r.release for r in world.replicas()] == [2] * 2 * replicas
