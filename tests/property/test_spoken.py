"""A release that changes how its replicas are asked whether they are well, or whether they are told who calls."""

from __future__ import annotations

from hypothesis import given as with_any
from hypothesis import strategies as st
from tests import given
from tests.property.driver import Driver
from tests.property.stories import BROKEN, GOOD, fleets
from tests.property.world import World

from bayplan.plan.goal import Goal
from bayplan.plan.replica import release_of
from bayplan.routing import Pool, Server, Spoken
from bayplan.spec.model import App, Fleet, Probe, Service, Update


class Asking(World):
    """A world in which a replica answers only to what it was made for. spoken: by release."""

    def __init__(self, fleet: Fleet) -> None:
        self.spoken: dict[int, Spoken] = {}
        super().__init__(fleet)

    def is_well(self, pool: Pool, server: Server) -> bool:
        made_for = self.spoken[release_of(server.name)]
        return self.answers(server) and pool.spoken_to(server.name) == made_for


def webs(images: tuple[str, ...] = GOOD) -> st.SearchStrategy[Service]:
    return st.builds(
        lambda image, probe, proxy, replicas, at_once: given.service(
            "web",
            image=image,
            probe=probe,
            proxy_protocol=proxy,
            replicas=replicas,
            update=Update(parallelism=at_once),
            ports=(given.ingress(80, 8080),),
        ),
        st.sampled_from(images),
        st.sampled_from((Probe(), Probe(kind="http", path="/one"), Probe(kind="http", path="/two"))),
        st.booleans(),
        st.integers(1, 4),
        st.integers(0, 2),
    )


def spoken(web: Service) -> Spoken:
    return Spoken(f"http {web.probe.path}" if web.probe.kind == "http" else "tcp", web.proxy_protocol)


def standing(fleet: Fleet, web: Service) -> tuple[Driver, Asking]:
    world = Asking(fleet.model_copy(update={"ports": (20000, 29999)}))
    world.spoken[1] = spoken(web)
    driver = Driver(world, Goal(world.fleet, App(name="shop", services={"web": web}), 1))
    driver.settle()
    return driver, world


def release(driver: Driver, world: Asking, web: Service) -> None:
    driver.release(App(name="shop", services={"web": web}))
    world.spoken[driver.goal.release] = spoken(web)


@with_any(fleets(), webs(), webs(), st.lists(st.integers(1, 9), max_size=3))
def test_those_of_before_serve_until_those_of_the_release_do(
    fleet: Fleet, one: Service, two: Service, kills: list[int]
) -> None:
    """That no pool is emptied the world itself sees to, at each step."""
    driver, world = standing(fleet, one)
    for web in (two, one):
        release(driver, world, web)
        driver.killed(kills)
        assert driver.settle().is_empty


@with_any(fleets(), webs(), webs(BROKEN))
def test_those_of_before_serve_for_good_where_those_of_the_release_never_do(
    fleet: Fleet, one: Service, two: Service
) -> None:
    driver, world = standing(fleet, one)
    release(driver, world, two)
    assert driver.settle().failures
    assert all(world.serving().values())
    release(driver, world, one)
    assert driver.settle().is_empty
