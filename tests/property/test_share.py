"""A listener that gets another port of its service: as many serve behind it at every step as the update order leaves."""

from __future__ import annotations

from hypothesis import given as with_any
from hypothesis import strategies as st
from tests import given
from tests.property.driver import Driver
from tests.property.stories import fleets
from tests.property.test_spoken import Asking, spoken
from tests.property.world import BrokenPromiseError

from bayplan.plan.goal import Goal
from bayplan.spec.model import App, Exposed, Fleet, Probe, Service, Update

LISTENERS = (
    (given.ingress(80, 8080),),
    (given.ingress(80, 9090),),
    (given.ingress(80, 7070), given.ingress(81, 7070)),
    (given.ingress(80, 9090), given.ingress(81, 9090)),
)


class Counting(Asking):
    """A world in which so many serve behind each of these listeners of every balancer. least: 0 counts nothing."""

    least = 0
    listeners: frozenset[int] = frozenset()

    def check(self) -> None:
        super().check()
        for host in self.fleet.balancer.hosts:
            for port in self.listeners:
                serving = self.behind(host, port)
                if len(serving) < self.least:
                    raise BrokenPromiseError(f"{len(serving)} of {self.least} serve at {host}:{port}: {serving}")

    def behind(self, host: str, port: int) -> set[str]:
        """Who takes requests of clients and answers them."""
        gateway = self.hosts[host].gateway
        pools = {pool.name: pool for pool in gateway.table.pools}
        led = {r.pool for f in gateway.table.listeners if f.port == port and not f.is_inner for r in f.routes}
        servers = ((pools[p], s) for p in led for s in gateway.pools[p].values())
        return {s.server.name for pool, s in servers if s.state == "ready" and self.is_well(pool, s.server)}


@st.composite
def webs(draw: st.DrawFn, replicas: int) -> Service:
    return given.service(
        "web",
        replicas=replicas,
        ports=draw(st.sampled_from(LISTENERS)),
        expose=draw(st.sampled_from(((), (), (Exposed(port=6060),)))),
        probe=draw(st.sampled_from((Probe(), Probe(kind="http", path="/one"), Probe(kind="http", path="/two")))),
        proxy_protocol=draw(st.booleans()),
    )


@st.composite
def releases(draw: st.DrawFn) -> tuple[Service, Service]:
    replicas, order = draw(st.integers(1, 6)), draw(st.sampled_from(("start-first", "stop-first")))
    same = {
        "update": Update(order=order, parallelism=draw(st.integers(0, 3))),
        "address": draw(st.sampled_from(("", "198.18.1.1"))),
    }
    one, two = (draw(webs(replicas)).model_copy(update=same) for _ in range(2))
    if draw(st.booleans()):  # what is asked by HTTP is known to speak it
        probe = one.probe if one.probe.kind == "http" else Probe(kind="http", path="/one")
        one = one.model_copy(update={"probe": probe})
        two = two.model_copy(update={"ports": tuple(p.model_copy(update={"app_protocol": "http"}) for p in two.ports)})
    return one, two


@with_any(fleets(), releases(), st.lists(st.integers(1, 9), max_size=3))
def test_as_many_serve_behind_a_listener_as_the_order_leaves(
    fleet: Fleet, both: tuple[Service, Service], kills: list[int]
) -> None:
    one, two = both
    world = Counting(fleet.model_copy(update={"ports": (20000, 29999)}))
    world.spoken[1] = spoken(one)
    driver = Driver(world, Goal(world.fleet, App(name="shop", services={"web": one}), 1))
    driver.settle()
    world.tick()
    least = one.replicas - _replaced_at_once(one)
    world.may_be_emptied = frozenset() if least > 0 else frozenset({"web"})
    for before, web in ((one, two), (two, one)):
        driver.release(App(name="shop", services={"web": web}))
        world.spoken[driver.goal.release] = spoken(web)
        world.least, world.listeners = least, _published(web) & _published(before)
        driver.killed(kills)
        assert driver.settle().is_empty
        world.least = 0


def _replaced_at_once(web: Service) -> int:
    """How many may be missing meanwhile."""
    return (web.update.parallelism or -(-web.replicas // 4)) if web.update.order == "stop-first" else 0


def _published(web: Service) -> frozenset[int]:
    return frozenset(p.published for p in web.ports)
