"""From a fleet that is spread thin to a denser one."""

from __future__ import annotations

from dataclasses import replace

from tests import given

from bayplan.facts import Facts
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.repack import Repack, repack
from bayplan.plan.steps import PoolChange, Run
from bayplan.spec.model import Resources, Service, Update

SMALL = Resources(reserved_cpus=0.5, reserved_memory=given.GB)
WEB = given.service(replicas=3, resources=SMALL)
API = given.service("api", replicas=3, resources=SMALL, ports=())


def spread(*services: Service, hosts: int = 3, at: tuple[int, ...] = (1, 2, 3), **fleet: int) -> tuple[Goal, Facts]:
    """Each service's replicas on these hosts, in turn."""
    goal = given.goal(given.fleet(*(f"h{n}" for n in range(1, hosts + 1)), **fleet), *services)
    there = [
        given.replica(s, n, f"h{host}") for s in services for n, host in zip(range(1, s.replicas + 1), at, strict=True)
    ]
    return goal, given.standing(goal, *there)


def packed(goal: Goal, facts: Facts, most: int | None = None) -> Repack:
    return repack({"shop": goal}, facts, most)


def why(found: Repack, host: str) -> str:
    return next(k.why for k in found.kept if k.host == host)


def test_a_host_becomes_empty_and_no_service_stands_alone() -> None:
    found = packed(*spread(WEB, API))
    assert found.emptied == ("h3",)
    assert [(m.service, m.slot, m.origin) for m in found.moves] == [("api", 3, "h3"), ("web", 3, "h3")]
    assert {m.target for m in found.moves} <= {"h1", "h2"}
    assert why(found, "h1") == "clients come in here: it is a balancer"
    assert why(found, "h2") == "without it, shop/api would stand on fewer hosts than it is to"
    assert found.after[0] > found.reserved[0]


def test_a_dense_fleet_stays() -> None:
    goal, facts = spread(WEB, at=(1, 2, 1))
    assert packed(goal, facts).moves == ()


def test_what_has_no_room_stays_with_its_reason() -> None:
    large = WEB.model_copy(update={"resources": Resources(reserved_cpus=3.0)})
    found = packed(*spread(large))
    assert not found.moves
    assert "3 cores wanted, 1 of 4 free" in why(found, "h3")


def test_no_more_moves_than_asked_for() -> None:
    found = packed(*spread(WEB, API), most=1)
    assert not found.moves
    assert why(found, "h3") == "takes 2 moves, and 1 are left"


def test_what_is_not_to_move_keeps_its_host() -> None:
    free = WEB.model_copy(update={"resources": Resources()})
    assert "reserves nothing" in why(packed(*spread(free)), "h3")
    once = WEB.model_copy(update={"update": Update(order="stop-first")})
    assert "never runs twice" in why(packed(*spread(once)), "h3")
    goal, facts = spread(WEB)
    h3 = facts.hosts["h3"]
    kept = tuple(replace(r, volumes=("data",)) for r in h3.engine.replicas)
    pinned = Facts({**facts.hosts, "h3": replace(h3, engine=replace(h3.engine, replicas=kept))})
    assert "has its volume here" in why(packed(goal, pinned), "h3")


def test_a_host_that_tolerate_needs_is_not_given_back() -> None:
    large = WEB.model_copy(update={"resources": Resources(reserved_cpus=1.5), "replicas": 3})
    assert packed(*spread(large)).emptied == ("h3",)
    found = packed(*spread(large, tolerate=1))
    assert not found.moves
    assert why(found, "h3") == "tolerate: 1 needs it for web"


def test_what_is_moved_twice_goes_straight() -> None:
    found = packed(*spread(WEB, API, hosts=5, at=(1, 4, 5)))
    assert len({(m.service, m.slot) for m in found.moves}) == len(found.moves)
    assert all(m.target not in found.emptied for m in found.moves)


def test_a_move_starts_first_and_stays_once_it_is_made() -> None:
    goal, facts = spread(WEB)
    found = packed(goal, facts)
    moves = {(m.service, m.slot): m.target for m in found.moves}
    assert plan(goal, facts, 0.0).is_empty
    steps = plan(replace(goal, moves=moves), facts, 0.0, Memory()).steps
    assert [(s.host, s.slot) for s in steps if isinstance(s, Run)] == [(moves["web", 3], 3)]
    assert not any(isinstance(s, PoolChange) for s in steps)
    moved = [given.replica(WEB, n, moves.get(("web", n), f"h{n}"), port=20000 + n) for n in (1, 2, 3)]
    after = given.standing(goal, *moved)
    assert plan(goal, after, 0.0).is_empty
    assert packed(goal, after).moves == ()


def test_what_stands_on_every_host_keeps_none_in_use() -> None:
    agent = given.service("agent", replicas=1, ports=(), mode="global")
    goal, facts = spread(WEB, at=(1, 2, 1))
    both = given.goal(goal.fleet, WEB, agent)
    agents = [given.replica(agent, n, f"h{n}") for n in (1, 2, 3)]
    found = packed(both, given.standing(both, *facts.replicas("shop"), *agents))
    assert (found.used, found.emptied, found.moves) == (("h1", "h2"), (), ())
