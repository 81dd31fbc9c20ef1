"""Jobs and what waits for them, on real hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import Site, on

from bayplan.lab import Lab

pytestmark = pytest.mark.shares_lab

AFTER = {"migrate": {"condition": "service_completed_successfully"}}


def write(site: Site, command: str, **services: Any) -> None:
    """The site's web, which waits for a job with that command; and other services."""
    site.write(depends_on=AFTER, replicas=2)
    file = site.directory / "compose.yaml"
    given = json.loads(file.read_text())
    given["services"] |= {"migrate": {"build": "./web", "command": ["sh", "-c", command]}, **services}
    file.write_text(json.dumps(given))


def jobs(site: Site) -> dict[str, str]:
    """State of each container of the job, by its name."""
    return {n.partition(" ")[0]: state for n, (_, _, state) in site.containers().items() if "-migrate-" in n}


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Iterator[Site]:
    made = Site(lab, tmp_path, "jobs")
    yield made
    made.bayplan("down")
    assert made.containers() == {}


def test_a_migration_runs_once_before_what_waits_for_it_and_again_when_it_changed(site: Site) -> None:
    write(site, "sleep 1; echo migrated")
    said = site.bayplan("up")
    started = re.findall(r"started (jobs-\w+)-", said)
    assert started == ["jobs-migrate", "jobs-web", "jobs-web"], said
    assert jobs(site) == {"jobs-migrate-1-r1": "exited"}
    [service] = [s for s in site.json("ps")["services"] if s["service"] == "migrate"]
    assert service["replicas"] == {"desired": 1, "ready": 1, "standby": 0}
    assert service["instances"][0]["job"] == "done"
    assert "job done" in site.bayplan("ps")
    assert "migrated" in site.bayplan("logs", "migrate")
    assert site.nothing_is_left_to_do()
    site.bayplan("scale", "web=3")
    assert jobs(site) == {"jobs-migrate-1-r1": "exited"}
    write(site, "echo migrated again")
    site.bayplan("up")
    assert jobs(site) == {"jobs-migrate-1-r3": "exited"}


def test_a_migration_that_fails_shows_its_log_and_the_old_release_serves(site: Site) -> None:
    write(site, "true")
    site.bayplan("up")
    before = site.names()
    site.version = "two"
    write(site, "echo the column is there already; exit 3", late={"build": "./web", "depends_on": ["web"]})
    with site.load() as load:
        said = site.bayplan("up", status=1)
    assert load.was_answered()
    assert "ended with status 3" in said
    assert "the column is there already" in said
    assert re.search(r"web is not started: migrate, which it waits for, failed", said)
    assert re.search(r"late is not started: web, which it waits for, failed", said)
    assert (site.names(), load.versions()) == (before, {"one"})
    write(site, "true")
    site.bayplan("up")
    assert {site.ask().split()[-1]} == {"two"}


def test_up_of_one_service_brings_what_it_depends_on(site: Site) -> None:
    write(site, "true", other={"build": "./web"})
    site.bayplan("up", "web")
    assert list(jobs(site).values()) == ["exited"]
    assert {name.split("-")[1] for name in site.names()} == {"web"}


def test_what_is_wanted_everywhere_is_once_on_each_host_that_the_constraints_allow(site: Site) -> None:
    everywhere: dict[str, Any] = {
        "build": "./web",
        "deploy": {"mode": "global", "placement": {"constraints": ["node.hostname != h3"]}},
    }
    once = {"build": "./web", "command": ["hostname"], "deploy": {"mode": "global-job"}}
    write(site, "true", agent=everywhere, survey=once)
    site.bayplan("up")

    def stands(service: str) -> list[str]:
        return sorted(h for n, (h, _, _) in site.containers().items() if n.startswith(f"jobs-{service}-"))

    assert (stands("agent"), stands("survey")) == (["h1", "h2"], ["h1", "h2", "h3"])
    assert site.nothing_is_left_to_do()
    assert "agent has one replica on each host" in site.bayplan("scale", "agent=2", status=2)
    before = site.containers()
    del everywhere["deploy"]["placement"]
    write(site, "true", agent=everywhere, survey=once)
    site.bayplan("up")
    assert stands("agent") == ["h1", "h2", "h3"]
    assert before.items() <= site.containers().items()
    [agent] = [s for s in site.json("ps")["services"] if s["service"] == "agent"]
    assert agent["replicas"] == {"desired": 3, "ready": 3, "standby": 0}


def test_hooks_run_in_the_replica_and_one_that_fails_is_a_failure(site: Site) -> None:
    hook = {"user": "daemon", "working_dir": "/tmp", "environment": {"WORD": "warm"}}
    after = {"command": ["sh", "-c", 'echo "$WORD $(id -un) $(pwd)" > /tmp/said'], **hook}
    before = {"command": ["sh", "-c", "cat /tmp/said > /proc/1/fd/1"], "privileged": False}
    good = {"replicas": 1, "post_start": [after], "pre_stop": [before]}
    site.write(**good)
    site.bayplan("up")
    [(host, replica, _)] = site.containers().values()
    assert on(site.lab, host, "docker", "exec", replica, "cat", "/tmp/said") == "warm daemon /tmp"
    site.bayplan("stop", "web")
    assert "warm daemon /tmp" in site.bayplan("logs", "web")
    site.bayplan("start", "web")
    stood = site.names()
    site.write(**good | {"post_start": [{"command": ["sh", "-c", "echo no cache; exit 3"]}]})
    said = site.bayplan("up", status=1)
    assert "post_start failed" in said
    assert "no cache" in said
    assert site.names() == stood
    assert site.ask().endswith("one")
