"""The main job on real hosts: examples/01-site, from its Dockerfile to requests answered through the balancer."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab import site as operated

from bayplan.lab import Lab

pytestmark = pytest.mark.shares_lab

SITE = Path(__file__).parents[2] / "examples" / "01-site" / "compose.yaml"
Bayplan = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def bayplan(lab: Lab) -> Iterator[Bayplan]:
    """The command, on the lab's fleet, with the site as its app; its standard output is `.stdout`."""

    def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        files = ["-f", str(SITE), "--fleet", str(lab.fleet_file)]
        return operated.from_scratch(Path.cwd(), operated.operator(lab), *words, *files, status=status)

    yield run
    run("down")


@pytest.fixture(scope="module")
def site(bayplan: Bayplan) -> Bayplan:
    bayplan("up")
    return bayplan


def answers(lab: Lab, count: int) -> Counter[tuple[str, str]]:
    """Requests through the balancer, by the replica and the host that answered."""
    url = f"http://{lab.hosts[0].private_ip}/"
    seen: Counter[tuple[str, str]] = Counter()
    for _ in range(count):
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as response:
            told = json.load(response)
        seen[told["replica"], told["host"]] += 1
    return seen


def ps(bayplan: Bayplan) -> dict[str, Any]:
    return json.loads(bayplan("ps", "--json").stdout)


def instances(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By the name that the page shows: `web-3`."""
    found = {}
    for instance in told["services"][0]["instances"]:
        match = re.fullmatch(r"site-(web-\d+)-r\d+", instance["name"])
        assert match
        found[match[1]] = instance
    return found


@pytest.mark.usefixtures("site")
def test_forty_requests_are_answered_by_three_replicas_on_several_hosts(lab: Lab) -> None:
    seen = answers(lab, 40)
    assert seen.total() == 40
    assert len({replica for replica, _ in seen}) >= 3
    assert len({host for _, host in seen}) >= 2


def test_ps_agrees_with_what_answers(site: Bayplan, lab: Lab) -> None:
    told = ps(site)
    assert told["services"][0]["replicas"] == {"desired": 3, "ready": 3, "standby": 0}
    assert told["services"][0]["listeners"] == [{"address": lab.hosts[0].private_ip, "port": 80, "target_port": 80}]
    by_name = instances(told)
    assert {(name, i["host"]) for name, i in by_name.items()} == set(answers(lab, 40))
    addresses = {h.name: h.private_ip for h in lab.hosts}
    assert all(i["endpoint"].startswith(f"{addresses[i['host']]}:2") for i in by_name.values())
    assert all(i["state"] == "ready" for i in by_name.values())


def test_up_again_does_nothing(site: Bayplan) -> None:
    before = ps(site)
    told = json.loads(site("up", "--json").stdout)
    assert not told["new_release"]
    assert ps(site) == before
    assert json.loads(site("plan", "--json").stdout)["steps"] == []


def test_scale_to_twelve_and_back(site: Bayplan, lab: Lab) -> None:
    site("scale", "web=12")
    assert len(answers(lab, 60)) == 12
    assert ps(site)["services"][0]["replicas"]["ready"] == 12
    site("scale", "web=3")
    assert len(answers(lab, 20)) == 3
    assert len(ps(site)["services"][0]["instances"]) == 3


@pytest.mark.usefixtures("site")
def test_the_page_sees_the_client_and_not_the_balancer(lab: Lab) -> None:
    request = urllib.request.Request(
        f"http://{lab.hosts[0].private_ip}/",
        headers={"Accept": "application/json", "X-Forwarded-For": "203.0.113.66"},
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        client = json.load(response)["client"]
    assert client not in {"203.0.113.66", *(h.private_ip for h in lab.hosts)}


def test_from_outside_only_the_listener_answers(site: Bayplan, lab: Lab) -> None:
    endpoints = [i["endpoint"] for i in instances(ps(site)).values()]
    ports = sorted({e.rpartition(":")[2] for e in endpoints})
    balancer = lab.hosts[0]
    assert lab.outside(["curl", "-sf", "-m", "5", f"http://{balancer.public_ip}/health"]).returncode == 0
    for host in lab.hosts:
        for port in ports:
            for address in (host.public_ip, host.private_ip):
                asked = lab.outside(["curl", "-s", "-m", "1", f"http://{address}:{port}/health"])
                assert asked.returncode != 0, f"{address}:{port} answers from outside"
