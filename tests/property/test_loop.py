"""The real loop over engines and gateways in memory, in virtual time: killed at any moment, hosts lost and back, replicas
removed and stopped by hand. In the end the fleet is as wanted, and a second run finds nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given as with_any
from hypothesis import settings
from hypothesis import strategies as st
from tests import given
from tests.memory_fleet import BAD_IMAGE, EXITING_IMAGE, OTHER_IMAGE, MemoryFleet
from tests.virtual_time import run

from bayplan.plan.goal import Goal
from bayplan.spec.model import Healthcheck, Update

FLEET = given.fleet("h1", "h2", "h3", balancers=("h1", "h2"))
CHECK = Healthcheck(test=("CMD", "true"), interval=1.0, timeout=1.0, retries=3)
GOOD = (given.IMAGE, OTHER_IMAGE)


@dataclass(frozen=True)
class Act:
    """Something that happens, and then a run that is killed after so many tenths of a second."""

    what: str
    who: int
    image: str
    replicas: int
    tenths: int


acts = st.builds(
    Act,
    st.sampled_from(("nothing", "release", "release", "silence", "answer", "remove", "stop", "kill", "gateway")),
    st.integers(0, 20),
    st.sampled_from((*GOOD, BAD_IMAGE, EXITING_IMAGE)),
    st.integers(1, 5),
    st.integers(0, 150),
)
updates = st.builds(Update, order=st.sampled_from(("start-first", "stop-first")), parallelism=st.integers(0, 2))
first = st.builds(given.service, replicas=st.integers(1, 5), update=updates, healthcheck=st.sampled_from((None, CHECK)))


async def do(fleet: MemoryFleet, act: Act) -> None:
    """Anything but a release."""
    host = list(fleet.engines)[act.who % 3]
    engine = fleet.engines[host].inner
    there = [c for c in engine._containers.values() if "-r" in c.made_of.name]
    if act.what in ("silence", "answer"):
        engine.answers = act.what == "answer"
    elif act.what == "gateway":
        fleet.gateways[host].restart()
    elif there and act.what == "remove":
        del engine._containers[there[act.who % len(there)].made_of.name]
    elif there and act.what == "stop":
        there[act.who % len(there)].exit(0, by_hand=True)
    elif there and act.what == "kill":
        there[act.who % len(there)].kill()


def released(goal: Goal, image: str, replicas: int) -> Goal:
    web = goal.app.services["web"]
    app = goal.app.model_copy(
        update={"services": {"web": web.model_copy(update={"image": image, "replicas": replicas})}}
    )
    return replace(goal, app=app, release=goal.release + 1, before={"web": web.replicas})


@settings(max_examples=settings().max_examples // 3)
@with_any(first, st.lists(acts, max_size=6), st.sampled_from(GOOD), st.integers(1, 5))
def test_whatever_happens_a_last_run_makes_it_as_wanted(
    web: object, story: list[Act], image: str, replicas: int
) -> None:
    async def told() -> None:
        fleet, goal = MemoryFleet(FLEET), given.goal(FLEET, web)  # type: ignore[arg-type]
        await fleet.up(goal)
        for act in story:
            await do(fleet, act)
            if act.what == "release":
                goal = released(goal, act.image, act.replicas)
            if any(e.inner.answers for e in fleet.engines.values()):
                await fleet.up_killed_after(goal, act.tenths / 10)
        for engine in fleet.engines.values():
            engine.inner.answers = True
        goal = released(goal, image, replicas)
        outcome = await fleet.up(goal)
        assert outcome.is_whole, (outcome.failures, outcome.errors, outcome.stalled, outcome.plan.unplaced)
        names = await fleet.names()
        assert sorted(int(n.split("-")[2]) for n in names) == list(range(1, replicas + 1))
        assert {r.image for r in (await fleet.facts()).replicas()} == {image}
        assert await fleet.taking_traffic() == set(names)
        again = await fleet.up(goal)
        assert (again.is_whole, again.passes, fleet.steps("started")) == (True, 1, [])

    run(told())
