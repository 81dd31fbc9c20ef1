"""Secrets and configs on real hosts: in memory, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import Site, asked, on

from bayplan.lab import Lab
from bayplan.lab.process import wait_for

pytestmark = pytest.mark.shares_lab

FIRST, SECOND, OF_ENVIRONMENT = "zaphod-8472-first", "zaphod-8472-second", "zaphod-8472-environment"


class Guarded(Site):
    """An app whose replicas print the names of their secrets, never the values."""

    def write_app(self, value: str, **more: Any) -> None:
        (self.directory / "key.txt").write_text(value)
        web = {
            "build": "./web",
            "command": ["sh", "-c", "ls /run/secrets; exec sleep 1000"],
            "init": True,
            "stop_grace_period": "0s",
            "secrets": ["key", {"source": "env", "target": "/etc/env", "uid": "7", "gid": "8", "mode": 0o400}],
            "configs": [{"source": "conf", "target": "/etc/site.conf"}],
            "deploy": {"replicas": 2},
        } | more
        given = {
            "name": self.name,
            "services": {"web": web},
            "secrets": {"key": {"file": "./key.txt"}, "env": {"environment": "TOP_SECRET"}},
            "configs": {"conf": {"content": "listen 80\n"}},
        }
        (self.directory / "compose.yaml").write_text(json.dumps(given))
        self.environment["TOP_SECRET"] = OF_ENVIRONMENT

    def inside(self, script: str) -> set[str]:
        """What a shell in each replica prints."""
        there = [n.split(" on ") for n, c in self.containers().items() if c[2] == "running"]
        return {on(self.lab, host, "docker", "exec", name, "sh", "-c", script) for name, host in there}


@pytest.fixture
def app(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guarded]:
    made = Guarded(lab, tmp_path, f"s{abs(hash(request.node.name)) % 10_000}")
    yield made
    made.bayplan("down")
    for host in lab.hosts:
        grants = lab.root(host.name) / f"run/bayplan/{lab.name}/grants/{made.name}"
        assert not grants.exists()


def test_they_are_there_and_another_value_replaces_the_replicas(app: Guarded) -> None:
    app.write_app(FIRST)
    app.bayplan("up")
    assert app.inside("cat /run/secrets/key /etc/env /etc/site.conf") == {f"{FIRST}{OF_ENVIRONMENT}listen 80"}
    assert app.inside("stat -c '%u %g %a' /etc/env") == {"7 8 400"}
    assert app.inside("stat -f -c %T /run/secrets/key") == {"tmpfs"}
    assert app.nothing_is_left_to_do()
    before = app.containers()
    app.bayplan("up")
    assert app.containers() == before
    app.write_app(SECOND)
    app.bayplan("up")
    assert app.inside("cat /run/secrets/key") == {SECOND}
    assert not before.keys() & app.containers().keys()


def test_who_has_no_value_gets_it_from_a_host_and_a_restart_finds_it(lab: Lab, app: Guarded) -> None:
    app.write_app(FIRST, deploy={"replicas": 1})
    app.bayplan("up")
    (app.directory / "key.txt").unlink()
    del app.environment["TOP_SECRET"]
    app.bayplan("scale", "web=3", "-p", app.name)
    assert app.inside("cat /run/secrets/key") == {FIRST}
    for name, (host, _, _) in app.containers().items():
        on(lab, host, "docker", "restart", "-t", "0", name.partition(" ")[0])
    for name, (host, _, _) in app.containers().items():
        argv = ["docker", "exec", name.partition(" ")[0], "cat", "/run/secrets/key"]
        wait_for(lambda at=host, what=argv: lab.on(at, what).stdout == FIRST, f"{name} is up again", deadline=60)


def test_after_memory_was_lost_the_next_up_puts_them_back(lab: Lab, app: Guarded) -> None:
    app.write_app(FIRST)
    app.bayplan("up")
    before = set(app.containers())
    for name, (host, _, _) in app.containers().items():
        on(lab, host, "docker", "stop", "-t", "0", name.partition(" ")[0])
        on(lab, host, "sh", "-c", f"rm -rf /run/bayplan/{lab.name}/grants")
    app.bayplan("up")
    assert set(app.containers()) == before
    assert app.inside("cat /run/secrets/key") == {FIRST}


def test_the_value_is_nowhere_but_in_memory(lab: Lab, app: Guarded) -> None:
    """Invariant 8: not on a host's disk, in no label, log, plan, release, environment, layer; nor in what is said."""
    app.write_app(FIRST)
    said = app.bayplan("up") + app.bayplan("plan", "--json") + app.bayplan("ps", "--json")
    app.write_app(SECOND)
    said += app.bayplan("plan", "--json") + app.bayplan("up", "--json") + app.bayplan("logs", "web")
    values = (FIRST, SECOND, OF_ENVIRONMENT)
    each = [word for value in values for word in ("-e", value)]
    for host in lab.hosts:
        told = [asked(lab, host.name, f"/containers/{identity}/json") for _, identity, _ in app.containers().values()]
        places = ("/var/lib/docker", "/var/log", "/root", "/home", "/etc", "/tmp")
        found = lab.on(host.name, ["grep", "-rlaF", "--devices=skip", *each, *places], deadline=180)
        assert found.stdout == "", f"{values} on {host.name}: {found.stdout}"
        commands = on(lab, host.name, "sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'")
        assert not [value for value in values if value in said + json.dumps(told) + commands]


def test_a_secret_whose_file_is_missing_stops_everything_before_it_begins(app: Guarded) -> None:
    app.write_app(FIRST)
    (app.directory / "key.txt").unlink()
    said = app.bayplan("up", status=2)
    assert "secrets.key: there is no" in said
    assert app.containers() == {}
