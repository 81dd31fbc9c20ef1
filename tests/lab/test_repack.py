"""A fleet that is spread thin is packed while clients ask, and what `tolerate` asks for is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import Site

from bayplan.lab import Lab

pytestmark = pytest.mark.shares_lab

LARGE, SMALL = 0.6, 0.05  # of a host's cores


@pytest.fixture(scope="module")
def thin(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three replicas, one a host: when they came, no two of them fitted on one."""
    site = Site(lab, tmp_path_factory.mktemp("thin"), "thin")
    reserve(site, LARGE)
    site.bayplan("up")
    yield site
    site.bayplan("down")


def reserve(site: Site, share: float) -> None:
    """Another reservation in the file: a share of a host's cores."""
    cores = site.json("ps")["hosts"][0]["cpus"] if site.containers() else 2.0
    resources = {"reservations": {"cpus": f"{share * cores:.2f}", "memory": "16M"}}
    site.write(deploy={"replicas": 3, "resources": resources, "update_config": {"parallelism": 3}})


def explained(site: Site, host: str) -> dict[str, Any]:
    said = site.bayplan("explain", "web", "--json")
    return next(h for h in json.loads(said[said.index("[") :])[0]["hosts"] if h["host"] == host)


@contextmanager
def of_a_fleet_with(site: Site, line: str) -> Iterator[None]:
    """fleet.yaml says that as well, until the body ends."""
    plain = site.fleet
    site.fleet = plain.with_name("more.yaml")
    site.fleet.write_text(f"{plain.read_text()}\n{line}\n")
    try:
        yield
    finally:
        site.fleet = plain


def test_a_loss_that_is_not_survived_is_told_and_is_no_failure(thin: Site) -> None:
    assert set(thin.hosts()) == {"h1", "h2", "h3"}
    with of_a_fleet_with(thin, "tolerate: 1"):
        risks = thin.json("plan")["risks"]
        assert [(r["kind"], r["service"], r["count"]) for r in risks] == [("no room", "web", 1)]
        assert "1 of web find no place" in thin.bayplan("up")
        assert thin.json("repack")["moves"] == []


def test_explain_compares_hosts_in_figures(thin: Site) -> None:
    assert "cores wanted" in explained(thin, "h2")["verdict"]


def test_what_was_spread_thin_is_packed_and_no_request_fails(thin: Site) -> None:
    reserve(thin, SMALL)
    thin.bayplan("up")
    assert dict(thin.hosts()) == {"h1": 1, "h2": 1, "h3": 1}
    shown = thin.json("repack")
    assert (shown["hosts"], shown["emptied"], shown["done"]) == ({"before": 3, "after": 2}, ["h3"], False)
    assert dict(thin.hosts()) == {"h1": 1, "h2": 1, "h3": 1}
    with thin.load() as load:
        told = thin.json("repack", "--yes")
    assert load.was_answered()
    assert told["done"]
    assert told["moves"] == shown["moves"]
    assert set(thin.hosts()) == {"h1", "h2"}
    assert thin.slots() == [1, 2, 3]
    assert thin.answers_from(3)


def test_and_stays_so(thin: Site) -> None:
    assert thin.nothing_is_left_to_do()
    again = thin.json("repack")
    assert again["moves"] == []
    assert {k["host"] for k in again["kept"]} == {"h1", "h2"}
    assert "an empty host is opened" in explained(thin, "h3")["verdict"]  # the next one would be safer there


def test_what_engines_measure_takes_the_place_of_reservations(thin: Site, tmp_path: Path) -> None:
    with of_a_fleet_with(thin, f"store: sqlite:///{tmp_path}/state.db"):
        told = thin.json("size", "--measured", "--window", "2s")
        again = thin.json("size", "--measured", "--window", "0s")
    web = told["measured"][0]
    assert (web["service"], web["verdict"]) == ("web", "too much")
    assert web["samples"] >= 3
    assert 0 < web["memory"] < 16 * 1024**2
    assert web["cpus"] < web["reserved_cpus"]
    assert again["measured"] == told["measured"]
    assert told["hosts"] == 2  # small as they are, never all of them on one


def test_usage_over_the_day_counts_in_place_of_reservations(thin: Site, tmp_path: Path) -> None:
    usage, state = tmp_path / "usage.csv", f"store: sqlite:///{tmp_path}/state.db"
    with of_a_fleet_with(thin, state):
        thin.json("size", "--measured", "--window", "2s", "--write-usage", str(usage))
    before = dict(thin.hosts())
    reserve(thin, LARGE)  # by which two do not fit on one host
    with of_a_fleet_with(thin, f"usage: {usage}"):
        thin.bayplan("up")
        assert "over the day" in thin.bayplan("explain", "web")
        assert dict(thin.hosts()) == before
        assert thin.nothing_is_left_to_do()
