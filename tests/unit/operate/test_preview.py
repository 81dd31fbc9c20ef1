"""What `plan` tells of a plan that cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.given import IMAGE, fleet, goal, replica, service, standing, up

from bayplan.errors import UsageError
from bayplan.facts import Binding, EngineFacts, Facts, HostFacts, SystemContainer
from bayplan.operate.ask import check_hosts
from bayplan.operate.doctor.fleet import left_findings
from bayplan.operate.doctor.host import Examined
from bayplan.operate.left_behind import check_registry_stays, history_lost, notes_on, registry_moves
from bayplan.operate.preview import Preview, _all_at_once, as_json, going, later
from bayplan.plan.plan import plan
from bayplan.plan.steps import Failure, Pull, Run, System
from bayplan.spec.model import Registry


def test_a_listener_that_another_app_holds_is_not_nothing_to_do() -> None:
    held = Failure("h1", "web", "", "port 80 of the balancer is held by the app blog")
    found = Preview((), (), (), (), (), (held,), {})
    assert not found.is_empty
    assert [f["why"] for f in as_json(found)["failures"]] == [held.why]


def test_a_misspelt_host_is_told_and_not_ignored() -> None:
    check_hosts(fleet("h1", "h2"), ["h2"])
    with pytest.raises(UsageError, match="no host h3"):
        check_hosts(fleet("h1", "h2"), ["h2", "h3"])


def test_a_replica_waits_for_its_guard_and_is_previewed_all_the_same() -> None:
    on = fleet("h1")
    bare = Facts({"h1": HostFacts("h1", reachable=True, engine=EngineFacts(cpus=4, networks=frozenset({"t-shop"})))})
    wanted = goal(on, service(replicas=1))
    previewed = _all_at_once(wanted, bare, 0.0)
    kinds = {type(s) for s in previewed.steps}
    assert {Pull, System, Run} <= kinds
    has_images = Facts({"h1": replace(bare.hosts["h1"], images=frozenset({IMAGE, on.gateway_image}))})
    first = plan(wanted, has_images, 0.0)
    assert not [s for s in first.steps if isinstance(s, Run)], "its port would answer from outside"
    assert [w.why for w in first.waiting] == ["waits for its guard, its names"]


def test_what_the_first_pass_leaves_for_later_is_counted() -> None:
    """Three replicas, replaced one after the other: who reads one line must not take it for all."""
    on = fleet("h1", "h2", "h3")
    old, new = service(replicas=3), service(replicas=3, environment={"A": "b"})
    there = standing(goal(on, old), *(replica(old, n, f"h{n}") for n in (1, 2, 3)))
    wanted = goal(on, new, release=2)
    steps = plan(wanted, there, 0.0).steps
    assert [s.slot for s in steps if isinstance(s, Run)] == [1]
    assert later(wanted, there, steps) == {"web": 2}
    assert later(goal(on, old), there, ()) == {}


def test_what_goes_for_good_once_others_serve_is_counted() -> None:
    """Scaled to three by hand, and changed to one in the file."""
    on = fleet("h1", "h2", "h3")
    old, new = service(replicas=3), service(replicas=1, environment={"A": "b"})
    there = standing(goal(on, old), *(replica(old, n, f"h{n}") for n in (1, 2, 3)))
    wanted = goal(on, new, release=2)
    steps = plan(wanted, there, 0.0).steps
    assert (later(wanted, there, steps), going(wanted, there, steps)) == ({}, {"web": 2})
    without = goal(on, service("api", ports=()), release=2)
    assert going(without, there, plan(without, there, 0.0).steps) == {"web": 3}


def test_a_registry_that_moves_has_none_of_the_images() -> None:
    """All of them are made again there: `plan` said that only the registry is elsewhere."""
    there = EngineFacts(system=(SystemContainer("1", "registry", "", "running"),))
    on_h1 = Facts({n: HostFacts(n, reachable=True, engine=e) for n, e in (("h1", there), ("h2", EngineFacts()))})
    nowhere = Facts({n: HostFacts(n, reachable=True) for n in ("h1", "h2")})
    for host, seen, moves in (("h2", on_h1, "h1"), ("h1", on_h1, ""), ("h2", nowhere, "")):
        assert registry_moves(fleet("h1", "h2", registry=Registry(host=host)), seen) == moves


def test_what_a_registry_that_moves_leaves_behind_is_told_and_only_up_goes_on_without_it() -> None:
    """`scale` recorded a release in the registry that it then took away."""
    there = EngineFacts(system=(SystemContainer("1", "registry", "", "running"),))
    facts = Facts({n: HostFacts(n, reachable=True, engine=e) for n, e in (("h1", there), ("h2", EngineFacts()))})
    moved, as_it_was = (fleet("h1", "h2", registry=Registry(host=host)) for host in ("h2", "h1"))
    (note,) = notes_on(moved, facts)
    assert note.startswith("the registry moves from h1 to h2, without what it holds")
    with pytest.raises(UsageError, match="the registry is to move from h1 to h2"):
        check_registry_stays(moved, facts)
    check_registry_stays(as_it_was, facts)
    assert [*notes_on(as_it_was, facts)] == []


def test_a_registry_of_before_is_told_of_while_it_stands() -> None:
    """That what it holds is lost was said, and that it runs on was not."""
    own = SystemContainer("1", "registry", "", "running", (Binding(5000, 25000, "10.77.0.11"),))
    web = service(image="localhost:5000/shop/web@sha256:1")
    facts = Facts(
        {
            "h1": HostFacts("h1", reachable=True, engine=EngineFacts(system=(own,))),
            "h2": up("h2", replica(web, 1, "h2")),
        }
    )
    external = fleet("h1", "h2", registry=Registry(address="registry.example.com/shop"))
    (note,) = notes_on(external, facts)
    assert note.startswith("the registry is registry.example.com/shop now, without what the one on h1 holds")
    assert "once nothing runs of it (shop does: bayplan up of each)" in note
    assert [*history_lost(external, "shop", facts)] == []
    check_registry_stays(external, facts)  # an app that has moved goes on
    (found,) = left_findings(external, [Examined((), host) for host in facts.hosts.values()])
    assert (found.level, found.where) == ("warn", "h1")
    assert "still runs; on its images: shop" in found.what


def test_a_host_that_fleet_yaml_has_no_more_is_told_while_gateways_lead_to_it() -> None:
    """What ran there ran on, without a word; its host is none that anybody asks."""
    web = service(replicas=2)
    wanted = goal(fleet("h1", "h2"), web)
    there = standing(wanted, replica(web, 1, "h1"), replica(web, 2, "h2"))
    left = fleet("h1")
    (note,) = notes_on(left, Facts({"h1": there.hosts["h1"]}))
    assert note.startswith("h2 is in fleet.yaml no more: nothing leads to shop-web-2-r1 there from now on")
    assert [*notes_on(wanted.fleet, there)] == []


def test_a_host_that_is_called_otherwise_by_now_has_not_left() -> None:
    """Who cleaned it as it was told to removed what ran."""
    web = service(replicas=2)
    there = standing(goal(fleet("h1", "h2"), web), replica(web, 1, "h1"), replica(web, 2, "h2"))
    renamed = fleet("h1", "shop2")
    assert [*notes_on(renamed, Facts({"h1": there.hosts["h1"], "shop2": there.hosts["h2"]}))] == []


def test_an_app_that_stands_and_is_recorded_nowhere_is_told() -> None:
    """The registry's volume was gone: an up made all anew, and said nothing of it."""
    web = service(replicas=1)
    there = standing(goal(fleet("h1"), web), replica(web, 1, "h1", release=7))
    (note,) = history_lost(fleet("h1"), "shop", there)
    assert note.startswith(
        "release 7 of shop stands, and none is recorded: what the registry held is lost, or the fleet"
    )
    assert [*history_lost(fleet("h1"), "blog", there)] == []
