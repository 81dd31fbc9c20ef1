"""Whether what stands survives the loss of hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Facts, VolumeFacts
from bayplan.plan.endure import Risk, risks
from bayplan.plan.goal import Goal
from bayplan.plan.steps import Rejection
from bayplan.spec.model import Placement, Resources, Service
from bayplan.spec.storage import Mount, Volume

HALF = Resources(reserved_cpus=2.0)  # of a host
WEB = given.service(replicas=2, resources=HALF)
API = given.service("api", replicas=2, resources=HALF, ports=())


def standing(
    *services: Service, hosts: int = 2, tolerate: int = 1, at: dict[str, tuple[int, ...]]
) -> tuple[Goal, Facts]:
    on = given.fleet(*(f"h{n}" for n in range(1, hosts + 1)), tolerate=tolerate)
    goal = given.goal(on, *services)
    there = [given.replica(s, i, f"h{n}") for s in services for i, n in enumerate(at[s.name], 1)]
    return goal, given.standing(goal, *there)


def test_nothing_is_said_where_nothing_is_asked() -> None:
    assert risks(*standing(WEB, API, tolerate=0, at={"web": (1, 2), "api": (1, 2)})) == ()


def test_what_stood_there_fits_on_the_rest() -> None:
    assert risks(*standing(WEB, at={"web": (1, 2)})) == ()
    assert risks(*standing(WEB, API, hosts=3, at={"web": (1, 2), "api": (1, 2)})) == ()


def test_what_finds_no_place_is_told_with_reasons() -> None:
    found = risks(*standing(WEB, API, at={"web": (1, 2), "api": (1, 2)}))
    assert [(r.kind, r.hosts, r.service, r.count) for r in found] == [
        ("no room", ("h2",), "api", 1),
        ("no room", ("h2",), "web", 1),
    ]
    assert found[1].why == (Rejection("h1", "2 cores wanted, 0 of 4 free"),)
    assert found[1].told() == "if h2 is lost, 1 of web find no place"


def test_constraints_hold_after_the_loss_too() -> None:
    bound = WEB.model_copy(update={"placement": Placement(constraints=("node.hostname != h3",))})
    alone = bound.model_copy(update={"replicas": 2, "resources": Resources(reserved_cpus=3.0)})
    assert [r.hosts for r in risks(*standing(alone, hosts=3, at={"web": (1, 2)}))] == [("h2",)]


def test_two_hosts_at_once() -> None:
    three = WEB.model_copy(update={"replicas": 3})
    assert risks(*standing(three, hosts=4, tolerate=2, at={"web": (1, 2, 3)})) == ()
    found = risks(*standing(three, hosts=3, tolerate=2, at={"web": (1, 2, 3)}))
    assert [(len(r.hosts), r.count) for r in found] == [(2, 1)]


def test_an_empty_host_may_be_lost_with_a_full_one() -> None:
    found = risks(*standing(WEB, API, hosts=3, tolerate=2, at={"web": (1, 2), "api": (1, 2)}))
    assert {r.service for r in found} == {"web", "api"}


def test_fewer_hosts_than_may_be_lost() -> None:
    assert risks(*standing(WEB, tolerate=2, at={"web": (1, 2)})) == (Risk("no host", ("h1", "h2"), "", 2),)


def test_what_is_bound_to_its_volume_is_lost_with_its_host() -> None:
    goal, _ = standing(WEB, at={"web": ()})
    kept = given.replica(WEB, 1, "h1", volumes=("data",))
    found = risks(goal, given.standing(goal, kept, given.replica(WEB, 2, "h2")))
    assert found == (Risk("pinned", ("h1",), "web", 1),)
    assert "with its volume" in found[0].told()


def test_other_apps_need_room_too() -> None:
    on = given.fleet("h1", "h2", tolerate=1)
    goal = given.goal(on, WEB)
    other = [given.replica(API, 1, h, app="other", id=f"other-{h}", cpus=1.5) for h in ("h1", "h2")]
    found = risks(goal, given.standing(goal, given.replica(WEB, 1, "h1"), given.replica(WEB, 2, "h2"), *other[:2]))
    assert {r.service for r in found} <= {"web", "other/api"}
    assert found


def test_what_another_app_has_on_every_host_or_keeps_stopped_moves_nowhere() -> None:
    on = given.fleet("h1", "h2", tolerate=1)
    goal = given.goal(on, WEB)
    agents = [given.replica(API, n, f"h{n}", app="mon", memory=5 * given.GB, everywhere=True) for n in (1, 2)]
    stopped = [given.replica(API, n, f"h{n}", app="old", memory=5 * given.GB, state="exited") for n in (1, 2)]
    both = zip(agents, stopped, strict=True)
    assert risks(goal, given.facts(*(given.up(f"h{n}", *pair) for n, pair in enumerate(both, 1)))) == ()


def test_the_board_is_as_it_was_after_each_loss() -> None:
    goal, facts = standing(WEB, hosts=5, at={"web": (1, 2)})
    assert risks(goal, facts) == risks(goal, facts) == ()


def test_a_volume_of_the_same_name_elsewhere_is_told_whatever_is_asked() -> None:
    goal, facts = standing(WEB, tolerate=0, at={"web": (1, 2)})
    h1, h2 = facts.hosts["h1"], facts.hosts["h2"]
    with_data = replace(h1.engine.replicas[0], volumes=("data",))
    h1 = replace(h1, engine=replace(h1.engine, replicas=(with_data,), volumes={"data": VolumeFacts()}))
    h2 = replace(h2, engine=replace(h2.engine, volumes={"data": VolumeFacts(), "other": VolumeFacts()}))
    [risk] = risks(goal, Facts({"h1": h1, "h2": h2}))
    assert (risk.kind, risk.hosts, risk.service) == ("two volumes", ("h1", "h2"), "web")
    assert "bayplan volume rm data --host h2" in risk.told()


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (VolumeFacts("local", {"type": "nfs", "o": "addr=10.0.0.1"}), ""),
        (VolumeFacts("local", {"type": "nfs", "o": "addr=10.0.0.9"}), "the driver local (o=addr=10.0.0.9 type=nfs)"),
        (VolumeFacts("rclone"), "the driver rclone"),
    ],
)
def test_a_volume_that_was_made_otherwise_is_told(there: VolumeFacts, told: str) -> None:
    volume = Volume(name="data", driver_opts={"type": "nfs", "o": "addr=10.0.0.1"})
    mounts = (Mount(kind="volume", source="d", target="/d"),)
    goal, facts = standing(WEB.model_copy(update={"mounts": mounts}), tolerate=0, at={"web": (1, 1)})
    goal = replace(goal, app=goal.app.model_copy(update={"volumes": {"d": volume}}))
    h1 = facts.hosts["h1"]
    h1 = replace(h1, engine=replace(h1.engine, volumes={"data": there}))
    found = risks(goal, Facts({**facts.hosts, "h1": h1}))
    assert [r.made for r in found] == ([told] if told else [])
    if told:
        assert f"data on h1 was made with {told}" in found[0].told()
