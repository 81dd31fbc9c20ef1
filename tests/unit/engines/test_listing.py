"""From the engine's list to facts."""

from __future__ import annotations

from typing import Any

import pytest

from bayplan import labels
from bayplan.engines import listing
from bayplan.engines.listing import Engine, bindings, exit_code, health, read
from bayplan.facts import Binding, EngineFacts, OneOff, Stranger

ABOUT = Engine("26.1.5", "1.45", 2.0, 1 << 30)
REPLICA = {
    labels.FLEET: "shop",
    labels.ROLE: "replica",
    labels.APP: "site",
    labels.SERVICE: "web",
    labels.SLOT: "2",
    labels.RELEASE: "5",
    labels.SPEC: "abc",
    labels.PORTS: "80=10.0.0.1:20080/tcp",
    labels.RESERVED: "0.5,1048576",
}


def entry(told: dict[str, str] | None, **more: Any) -> dict[str, Any]:
    plain = {"Id": "1" * 64, "Names": ["/x"], "Image": "i", "State": "running", "Status": "Up", "Labels": told}
    return {**plain, **more}


def facts(*entries: dict[str, Any]) -> EngineFacts:
    return read(entries, {"shop-site": "n1"}, ABOUT, "h1", "shop")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Up 5 minutes", "none"),
        ("Up 5 minutes (healthy)", "healthy"),
        ("Up Less than a second (health: starting)", "starting"),
        ("Up 2 hours (unhealthy)", "unhealthy"),
        ("Up 2 hours (Paused)", "none"),
        ("", "none"),
    ],
)
def test_health(status: str, expected: str) -> None:
    assert health(status) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Exited (137) 3 seconds ago", 137),
        ("Restarting (1) 2 seconds ago", 1),
        ("Up 1 second", None),
        ("Created", None),
    ],
)
def test_exit_code(status: str, expected: int | None) -> None:
    assert exit_code(status) == expected


def test_bindings() -> None:
    assert bindings("") == ()
    assert bindings("80=10.0.0.1:20080/tcp,53=fd00::1:20053/udp") == (
        Binding(80, 20080, "10.0.0.1"),
        Binding(53, 20053, "fd00::1", "udp"),
    )
    with pytest.raises(ValueError, match="not a binding"):
        bindings("80")


def test_a_stopped_replica_keeps_its_ports() -> None:
    (replica,) = facts(entry(REPLICA, State="exited", Status="Exited (3) 1 second ago", Ports=[])).replicas
    assert replica.ports == (Binding(80, 20080, "10.0.0.1"),)
    assert (replica.slot, replica.cpus, replica.memory, replica.exit_code) == (2, 0.5, 1 << 20, 3)


@pytest.mark.parametrize(("status", "young"), [("Up Less than a second", True), ("Up 1 second", False), ("Up", False)])
def test_a_process_that_has_just_been_started_is_young(status: str, young: bool) -> None:
    (replica,) = facts(entry(REPLICA, State="running", Status=status, Ports=[])).replicas
    assert replica.young is young


def test_what_run_made_is_no_replica() -> None:
    told = {labels.FLEET: "shop", labels.ROLE: "run", labels.APP: "site", labels.SERVICE: "web"}
    seen = facts(entry(told, Names=["/site-web-run-1"]))
    assert seen.replicas == ()
    assert seen.oneoffs == (OneOff("site-web-run-1", "h1", "site", "web", "running", "i"),)


def test_what_others_publish_is_taken() -> None:
    foreign = entry(
        None, Ports=[{"PrivatePort": 80, "PublicPort": 20080, "Type": "tcp"}, {"PrivatePort": 1, "Type": "udp"}]
    )
    another = entry({**REPLICA, labels.FLEET: "other", labels.PORTS: "80=10.0.0.1:20081/tcp"}, State="exited")
    ours = entry(REPLICA, Ports=[{"PrivatePort": 80, "PublicPort": 20082, "Type": "tcp"}])
    assert facts(foreign, another, ours).taken == {("tcp", 20080), ("tcp", 20081)}


@pytest.mark.parametrize(
    "change",
    [
        {labels.SLOT: "two"},
        {labels.RELEASE: ""},
        {labels.RESERVED: "a lot"},
        {labels.PORTS: "80->20080"},
        {labels.ROLE: "king"},
    ],
)
def test_broken_labels_are_foreign(change: dict[str, str]) -> None:
    seen = facts(entry({**REPLICA, **change}, Ports=[{"PrivatePort": 80, "PublicPort": 20080, "Type": "tcp"}]))
    assert (seen.replicas, seen.system, seen.taken) == ((), (), {("tcp", 20080)})


@pytest.mark.parametrize("missing", [labels.APP, labels.SPEC, labels.ROLE, labels.SLOT])
def test_missing_labels_are_foreign(missing: str) -> None:
    assert facts(entry({k: v for k, v in REPLICA.items() if k != missing})).replicas == ()


def test_an_unheard_of_state_is_foreign() -> None:
    assert facts(entry(REPLICA, State="levitating")).replicas == ()


def test_the_engine_itself() -> None:
    seen = facts()
    assert (seen.version, seen.api, seen.cpus, seen.memory) == ("26.1.5", "1.45", 2.0, 1 << 30)
    assert seen.networks == {"shop-site"}
    assert listing.read([], {}, ABOUT, "h1", "shop").taken == frozenset()


def test_another_fleet_s_replica_is_a_stranger() -> None:
    theirs = facts(entry({**REPLICA, labels.FLEET: "local"}, State="paused")).strangers
    assert theirs == (Stranger("x", "", "local", frozenset({("tcp", 20080)})),)


def test_strangers_are_told_with_what_they_publish_and_write() -> None:
    """What has ended, and what only reads, is in nobody's way."""
    composed = {labels.COMPOSE_PROJECT: "shop"}
    mounts = [
        {"Type": "volume", "Name": "shop_data", "RW": True},
        {"Type": "volume", "Name": "shop_read", "RW": False},
        {"Type": "bind", "Source": "/srv", "RW": True},
    ]
    runs = entry(composed, Ports=[{"PublicPort": 8080, "PrivatePort": 80, "Type": "tcp"}], Mounts=mounts)
    ended = entry(composed, State="exited", Mounts=mounts)
    told = facts(runs, ended, entry(REPLICA, Mounts=mounts), entry(None)).strangers
    assert told == (Stranger("x", "shop", "", frozenset({("tcp", 8080)}), frozenset({"shop_data"})), Stranger("x"))
