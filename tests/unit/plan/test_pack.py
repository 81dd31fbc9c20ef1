"""Which of the hosts that may take a replica gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests import given

from bayplan.plan.board import Berth
from bayplan.plan.pack import Choice, Ranking
from bayplan.spec.model import Host, Placement, Resources, Service

H1, H2, H3 = (
    given.host(n, zone=z, labels={"disk": d})
    for n, z, d in (("h1", "a", "ssd"), ("h2", "a", "hdd"), ("h3", "b", "hdd"))
)
ALL = (H1, H2, H3)
PLAIN = tuple(given.host(n) for n in ("h1", "h2", "h3"))
H4 = given.host("h4")
WEB = given.service(replicas=9)
HALF = WEB.model_copy(update={"resources": Resources(reserved_cpus=0.5, reserved_memory=given.GB)})
TWO = HALF.model_copy(update={"replicas": 2})
EMPTY: Mapping[str, tuple[float, float]] = {}


def ranked(
    service: Service,
    able: Sequence[Host],
    counts: Mapping[str, int],
    hosts: Sequence[Host],
    used: Mapping[str, tuple[float, float]] = EMPTY,
    tolerate: int = 0,
) -> Ranking:
    """used: cores and GB by host, of 4 and 8; those that have any, or one of the service, are in use."""
    berths = {h.name: Berth(h, given.up(h.name), 4, 8 * given.GB) for h in hosts}
    for name, berth in berths.items():
        berth.used_cpus, memory = used.get(name, (0, 0))
        berth.used_memory, berth.in_use = memory * given.GB, name in used or counts.get(name, 0) > 0
    ranking = Ranking(service, berths, counts, {h.name: h for h in hosts}, tolerate)
    for host in able:
        ranking.update(host.name, able=True)
    return ranking


def choose(*args: object, **more: object) -> Choice:
    best = ranked(*args, **more).best()  # type: ignore[arg-type]
    assert best is not None
    return best


# -- nothing is reserved: spread --------------------------------------------------------------------------------------


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
    assert choose(WEB, PLAIN[:2], {"h1": 1}, PLAIN[:2]).host == "h2"


def test_a_host_that_is_in_use_is_no_better() -> None:
    assert choose(WEB, PLAIN, {}, PLAIN, {"h2": (1, 1)}).host == "h1"


def test_why() -> None:
    assert choose(WEB, (H2,), {"h2": 4}, ALL).why == "the only host that can take it"
    assert choose(WEB, ALL, {"h1": 2, "h2": 3, "h3": 2}, ALL).why == "only 2 of its replicas there, zone b"


# -- something is reserved: packed -------------------------------------------------------------------------------------


def test_a_host_in_use_before_an_empty_one() -> None:
    found = choose(HALF, PLAIN, {}, PLAIN, {"h2": (1, 2)})
    told = "none of its replicas there; in use already, 3 of 4 cores and 6 GB of 8 GB free"
    assert found == Choice("h2", told)


def test_but_not_all_on_one() -> None:
    assert choose(HALF, PLAIN, {"h2": 1}, PLAIN).host == "h1"
    assert choose(TWO, PLAIN, {"h1": 1, "h2": 1}, PLAIN).host == "h1"


def test_of_three_two_are_apart_still_when_a_host_is_lost() -> None:
    assert choose(HALF, PLAIN, {"h1": 1, "h2": 1}, PLAIN).host == "h3"


def test_one_alone_stands_anywhere() -> None:
    one = HALF.model_copy(update={"replicas": 1})
    assert choose(one, PLAIN, {}, PLAIN, {"h3": (1, 1)}).host == "h3"


def test_where_two_hosts_may_be_lost_it_stands_on_four() -> None:
    hosts = (*PLAIN, H4)
    counts = {"h1": 1, "h2": 1, "h3": 1}
    assert choose(HALF, hosts, counts, hosts, tolerate=1).host == "h1"
    assert choose(HALF, hosts, counts, hosts, tolerate=2).host == "h4"


def test_in_a_second_zone_even_if_a_host_is_opened() -> None:
    assert choose(HALF, ALL, {"h1": 1}, ALL, {"h1": (1, 1), "h2": (1, 1)}).host == "h3"


def test_the_fewest_of_it_among_hosts_in_use() -> None:
    assert choose(TWO, PLAIN, {"h1": 2, "h2": 1}, PLAIN).host == "h2"


def test_the_fewest_of_it_among_all_hosts_where_the_file_wants_it_spread_over_them() -> None:
    spread = TWO.model_copy(update={"placement": Placement(spread=("node.hostname",))})
    assert choose(spread, PLAIN, {"h1": 2, "h2": 1}, PLAIN).host == "h3"


def test_where_cores_and_memory_are_free_as_it_asks() -> None:
    used = {"h1": (3.0, 1.0), "h2": (1.0, 2.0)}
    assert choose(HALF, PLAIN, {}, PLAIN, used).host == "h2"
    lopsided = HALF.model_copy(update={"resources": Resources(reserved_cpus=0.1, reserved_memory=3 * given.GB)})
    assert choose(lopsided, PLAIN, {}, PLAIN, used).host == "h1"


def test_what_was_told_of_is_looked_at_again() -> None:
    counts = {"h1": 1, "h2": 1}
    ranking = ranked(TWO, PLAIN, counts, PLAIN)
    assert ranking.best() is not None
    counts["h1"] = 2
    ranking.update("h1", able=True)
    assert ranking.best() == Choice(
        "h2", "only 1 of its replicas there; in use already, 4 of 4 cores and 8 GB of 8 GB free"
    )
    ranking.update("h2", able=False)
    ranking.update("h1", able=False)
    assert ranking.best() == Choice("h3", "the only host that can take it")
    ranking.update("h3", able=False)
    assert ranking.best() is None


def test_why_not_the_others() -> None:
    ranking = ranked(HALF, ALL, {"h1": 1}, ALL, {"h1": (1, 1)})
    assert ranking.against("h1") == "has 1 of it: were it lost, they would go together"
    assert ranking.against("h2") == "zone a has all of it, zone b none"
    assert (
        ranked(HALF, PLAIN, {}, PLAIN, {"h2": (1, 2)}).against("h1") == "is empty, and h2, which is in use, can take it"
    )
    assert ranked(HALF, PLAIN, {}, PLAIN).against("h2") == "as good as h1, which comes first in the file"
    assert ranked(WEB, ALL, {"h1": 2, "h2": 1, "h3": 1}, ALL).against("h1") == "has 2 of it, h3 1"
    assert ranked(WEB, ALL, {"h1": 1}, ALL).against("h2") == "zone a has 1 of it, zone b fewer"
