"""Usage over the day in planning: peaks that do not meet share a host, in `plan` and in `repack` alike."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given as examples
from hypothesis import strategies as st
from tests import given

from bayplan.facts import Facts
from bayplan.plan.board import Board
from bayplan.plan.endure import risks
from bayplan.plan.filters import reject
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.repack import repack
from bayplan.plan.steps import Run
from bayplan.spec.model import Fleet, Resources, Service, Usage

GB = float(given.GB)
DAY, NIGHT = Usage(cpus=(3.0, 0.5)), Usage(cpus=(0.5, 3.0))
RESERVED = Resources(reserved_cpus=3.0)
SHOP, BATCH = (given.service(name, ports=(), resources=RESERVED) for name in ("shop", "batch"))


def fleet(usage: dict[str, Usage], hosts: int = 2, **more: Any) -> Fleet:
    return given.fleet(*(f"h{n}" for n in range(1, hosts + 1)), usage=usage, **more)


def placed(on: Fleet, *services: Service) -> dict[str, list[str]]:
    """Hosts by service, on empty hosts of four cores."""
    goal = given.goal(on, *services)
    found = plan(goal, given.standing(goal), 0.0)
    where = [(w.service, w.host) for w in found.waiting] + [
        (s.service, s.host) for s in found.steps if isinstance(s, Run)
    ]
    by_service: dict[str, list[str]] = defaultdict(list)
    for service, host in where:
        by_service[service].append(host)
    return dict(by_service)


def test_peaks_that_do_not_meet_share_a_host() -> None:
    apart, together = placed(fleet({}), SHOP, BATCH), placed(fleet({"shop": DAY, "batch": NIGHT}), SHOP, BATCH)
    assert apart["shop"] != apart["batch"]
    assert together["shop"] == together["batch"]


def test_peaks_that_meet_do_not() -> None:
    assert placed(fleet({"shop": DAY, "batch": DAY}, hosts=1), SHOP, BATCH).keys() == {"shop"}


def test_an_app_s_own_usage_goes_before_that_of_any_app() -> None:
    usage = {"shop/batch": NIGHT, "batch": DAY, "shop": DAY}
    assert placed(fleet(usage, hosts=1), SHOP, BATCH).keys() == {"shop", "batch"}


def test_what_stands_counts_with_its_usage_and_the_reason_tells_when() -> None:
    goal = given.goal(fleet({"shop": DAY}, hosts=1), SHOP, BATCH)
    board = Board(goal, given.standing(goal, given.replica(SHOP, 1, "h1")), Memory())
    assert reject(BATCH, board.berths["h1"], board, (20000, 29999)) == (
        "3 cores wanted, 1 of 4 free at the fullest time of the day"
    )


def test_memory_too() -> None:
    service = given.service("shop", replicas=2, ports=())
    used = {"shop": Usage(memory=(1.0, 5 * GB))}
    assert sorted(placed(fleet(used, hosts=2), service)["shop"]) == ["h1", "h2"]  # two of 5 GB do not fit on 8
    assert "shop" in placed(fleet(used, hosts=1), service)


def dense(usage: dict[str, Usage]) -> tuple[str, ...]:
    """What `repack` empties of three hosts, with a service on each pair."""
    shop, batch = (s.model_copy(update={"replicas": 2}) for s in (SHOP, BATCH))
    goal = given.goal(fleet(usage, hosts=4, balancers=("h1",)), shop, batch)
    there = [given.replica(shop, n, f"h{n}") for n in (1, 2)] + [given.replica(batch, n, f"h{n + 2}") for n in (1, 2)]
    return repack({"shop": goal}, given.standing(goal, *there)).emptied


def test_repack_counts_with_it() -> None:
    assert dense({}) == ()
    assert sorted(dense({"shop": DAY, "batch": NIGHT})) == ["h3", "h4"]


def test_a_loss_is_tried_with_it() -> None:
    for usage, survives in (({"shop": DAY, "batch": NIGHT}, True), ({"shop": DAY, "batch": DAY}, False)):
        goal = given.goal(fleet(usage, tolerate=1), SHOP, BATCH)
        facts = given.standing(goal, given.replica(SHOP, 1, "h1"), given.replica(BATCH, 1, "h2"))
        assert (not risks(goal, facts)) is survives


VALUES = st.lists(st.floats(0, 5), min_size=3, max_size=3).map(tuple)


@examples(st.lists(st.tuples(st.integers(1, 5), st.none() | VALUES, st.floats(0, 2)), min_size=1, max_size=6))
def test_no_slot_of_the_day_is_ever_over(asked: list[tuple[int, tuple[float, ...] | None, float]]) -> None:
    services = [
        given.service(f"s{n}", replicas=many, ports=(), resources=Resources(reserved_cpus=reserved))
        for n, (many, _, reserved) in enumerate(asked)
    ]
    usage = {f"s{n}": Usage(cpus=values) for n, (_, values, _) in enumerate(asked) if values}
    on = fleet(usage, hosts=3)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for name, hosts in placed(on, *services).items():
        reserved = next(s.resources.reserved_cpus for s in services if s.name == name)
        each = usage[name].cpus if name in usage else (reserved,) * 3
        for host in hosts:
            sums[host] = [a + b for a, b in zip(sums[host], each, strict=True)]
    assert all(used <= 4 + 1e-6 for slots in sums.values() for used in slots)


def test_without_usage_nothing_changes() -> None:
    goal = Goal(fleet({}), given.goal(fleet({}), SHOP).app, 1)
    facts: Facts = given.standing(goal)
    assert Board(goal, facts, Memory()).demand(SHOP).cpus == 3.0
