"""Releases on real hosts: who, when, from which commit, what changed; and going back."""

from __future__ import annotations

import itertools
import re
import subprocess
from datetime import timedelta

import pytest
from tests.lab.site import WHOLE, Site, on

pytestmark = pytest.mark.shares_lab


def newest(site: Site) -> int:
    return int(site.json("history", "-n", "1")["releases"][0]["release"])


def git(site: Site, *words: str) -> str:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(argv, cwd=site.directory, check=True, capture_output=True, text=True).stdout.strip()


def test_going_back_when_the_file_and_the_image_have_changed_since(site: Site) -> None:
    before, was = newest(site), site.version
    site.renew()
    with site.load() as load:
        site.bayplan("up")
        site.bayplan("rollback")
    assert load.was_answered()
    assert site.ask().endswith(was)
    assert newest(site) == before + 2
    first, *_ = site.json("history")["releases"]
    assert first["why"] == f"rollback to {before}"
    assert first["services"][0]["replicas"] == WHOLE
    assert site.json("diff")["changes"]  # the file says something else
    site.bayplan("rollback", str(before + 1))
    assert site.ask().endswith(site.version)
    assert site.json("diff")["changes"] == []


def test_the_commit_and_the_person_are_told(site: Site) -> None:
    git(site, "init", "-q")
    git(site, "add", "-A")
    git(site, "commit", "-qm", "it")
    site.renew()
    git(site, "add", "-A")
    git(site, "commit", "-qm", "again")
    site.environment["GITHUB_ACTOR"] = "ann"
    try:
        site.bayplan("up")
    finally:
        del site.environment["GITHUB_ACTOR"]
    told = site.json("history", "-n", "1")["releases"][0]
    assert (told["commit"], told["dirty"], told["by"]) == (git(site, "rev-parse", "HEAD"), False, "ann, GitHub Actions")
    assert told["changes"] == ["web: environment"]
    assert re.search(rf"{told['commit'][:12]}.*up", site.bayplan("history"))
    assert site.json("history", "show", str(told["release"]))["spec"]["name"] == "releases"
    assert "services:" in site.bayplan("history", "show", str(told["release"]))
    site.bayplan("scale", "web=2")
    assert site.json("history", "-n", "1")["releases"][0]["commit"] == told["commit"]


def test_down_keeps_the_history_and_one_can_go_back_to_before(site: Site) -> None:
    last = newest(site)
    site.bayplan("down")
    assert newest(site) == last + 1
    site.bayplan("rollback")
    assert site.is_whole()


def test_what_the_registry_s_disk_has_damaged_is_told_and_up_goes_on(site: Site) -> None:
    site.bayplan("scale", "web=2")
    lost = newest(site)
    tag = f"repositories/bayplan/{site.name}/_manifests/tags/release-{lost}/current/link"
    empty = f"cd /var/lib/registry/docker/registry/v2; one=$(cut -d: -f2 {tag}); : > blobs/sha256/$(echo $one | cut -c-2)/$one/data"
    on(site.lab, "h1", "docker", "exec", f"bayplan-registry-{site.lab.name}", "sh", "-c", empty)
    told = {r["release"]: r for r in site.json("history")["releases"]}
    assert told[lost]["unread"]
    assert f"release {lost} of {site.name} cannot be read" in site.bayplan("scale", "web=3", status=1)
    assert f"release {lost - 1} is taken for it" in site.bayplan("up")
    assert newest(site) > lost
    assert site.is_whole()


def test_a_registry_that_lost_all_that_it_held_is_filled_again(site: Site) -> None:
    """It runs, and its disk is empty: what it remembered of that was not sent again, and every `up` failed."""
    number, registry = newest(site), f"bayplan-registry-{site.lab.name}"
    on(site.lab, "h1", "docker", "exec", registry, "sh", "-c", "rm -rf /var/lib/registry/*")
    said = site.bayplan("up")
    assert f"release {number} of {site.name} stands, and none is recorded" in said
    assert newest(site) == number + 1
    assert site.is_whole()


def test_wrong_numbers_are_refused(site: Site) -> None:
    assert "has no release 999" in site.bayplan("rollback", "999", status=2)
    assert "never released" in site.bayplan("history", "-p", "nobody", status=2)


def test_a_service_that_fails_goes_back_by_itself_and_a_slow_one_takes_its_time(site: Site) -> None:
    """`update_config`: a delay between one replica and the next; then a release that exits, and failure_action."""
    began = site.version
    update = {"parallelism": 1, "delay": "2s", "failure_action": "rollback"}
    good = {"environment": {"VERSION": "slow"}, "deploy": {"replicas": WHOLE, "update_config": update}}
    site.write(**good)
    with site.load() as load:
        site.bayplan("up")
        stood, number = site.names(), newest(site)
        times = sorted(site.started().values())
        assert all(later - earlier >= timedelta(seconds=2) for earlier, later in itertools.pairwise(times)), times
        broken = {"environment": {"VERSION": "broken"}, "command": ["sh", "-c", "echo ouch; exit 3"], "restart": "no"}
        site.write(**good | broken)
        said = site.bayplan("up", status=1)
    assert load.was_answered()
    assert load.versions() == {began, "slow"}
    assert "exited with status 3" in said
    assert "ouch" in said
    assert (newest(site), site.names()) == (number + 2, stood)
    told = site.json("history", "-n", "1")["releases"][0]
    assert told["why"] == f"rollback of web to {number}: release {number + 1} failed"
    site.write(**good)
    assert site.nothing_is_left_to_do()
