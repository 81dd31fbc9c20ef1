"""Which of the hosts that may take a replica gets it."""

from __future__ import annotations

from tests import given

from bayplan.plan.pack import Choice, choose
from bayplan.spec.model import Placement

H1, H2, H3 = (
    given.host(n, zone=z, labels={"disk": d})
    for n, z, d in (("h1", "a", "ssd"), ("h2", "a", "hdd"), ("h3", "b", "hdd"))
)
ALL = (H1, H2, H3)
WEB = given.service()


def test_the_host_with_the_fewest_of_its_service() -> None:
    assert choose(WEB, ALL, {"h1": 1, "h3": 1}, ALL) == Choice("h2", "none of its replicas there, zone a")


def test_then_the_zone_with_the_fewest() -> None:
    assert choose(WEB, ALL, {"h1": 1}, ALL).host == "h3"


def test_then_the_first_of_the_file() -> None:
    assert choose(WEB, ALL, {}, ALL).host == "h1"
    assert choose(WEB, (H3, H2), {}, (H3, H2, H1)).host == "h3"


def test_a_zone_counts_the_hosts_that_cannot_take_one_too() -> None:
    assert choose(WEB, (H2, H3), {"h1": 1}, ALL).host == "h3"


def test_what_the_file_wants_spread_comes_first() -> None:
    by_disk = given.service(placement=Placement(spread=("node.labels.disk",)))
    assert choose(by_disk, ALL, {"h1": 1, "h2": 1, "h3": 1}, ALL).host == "h1"
    assert choose(WEB, ALL, {"h1": 1, "h2": 1, "h3": 1}, ALL).host == "h3"


def test_hosts_without_a_zone_are_zones_of_their_own() -> None:
    plain = tuple(given.host(n) for n in ("h1", "h2"))
    assert choose(WEB, plain, {"h1": 1}, plain).host == "h2"


def test_why() -> None:
    assert choose(WEB, (H2,), {"h2": 4}, ALL).why == "the only host that can take it"
    assert choose(WEB, ALL, {"h1": 2, "h2": 3, "h3": 2}, ALL).why == "only 2 of its replicas there, zone b"
