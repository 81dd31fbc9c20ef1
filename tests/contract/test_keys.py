"""Each Compose key that makes a container what it is, from the file to the real container on an old and a new engine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.keys import ROWS, Group, Row

from bayplan.container import Container
from bayplan.engines.docker import DockerEngine
from bayplan.hosts import reach_for
from bayplan.lab import Lab
from bayplan.plan.goal import Goal
from bayplan.plan.replica import bindings, free_targets, replica_container
from bayplan.spec import load_app
from bayplan.spec.model import App, Balancer, Fleet, Host, Ssh

NETWORK = "keys-test"
DEFAULTS = {"image": "debian:bookworm-slim", "command": "sleep 1000", "init": True, "stop_grace_period": "0s"}


def compose(rows: tuple[Row, ...]) -> str:
    """A file with a service for each group, made of the lines of its rows."""
    services: dict[str, dict[str, Any]] = {}
    for row in rows:
        service = services.setdefault(row.group, dict(DEFAULTS))
        for key, value in yaml.safe_load(row.written).items():
            merge(service, key, value)
    return yaml.safe_dump({"name": "keys", "services": services, "volumes": {"data": {}}})


def merge(service: dict[str, Any], key: str, value: Any) -> None:
    """What several rows write under one key is there once, or all of it."""
    there = service.get(key)
    if isinstance(there, list) and isinstance(value, list) and key not in DEFAULTS:
        service[key] = [*there, *(v for v in value if v not in there)]
    elif isinstance(there, dict) and isinstance(value, dict):
        for name, inner in value.items():
            merge(there, name, inner)
    elif value is not None:
        service[key] = value


def read(folder: Path, rows: tuple[Row, ...], fleet: Fleet) -> App:
    (folder / "given.env").write_text("FILED=yes\nOVER=file\n")
    (folder / "raw.env").write_text("RAW='raw'\n")
    (folder / "given.labels").write_text("from=a-file\nof=the-other\n")
    (folder / "compose.yaml").write_text(compose(rows))
    return load_app([folder / "compose.yaml"], project=None, environment={}, fleet=fleet)


class Looked:
    """What was seen of the containers of one engine, a container a group."""

    def __init__(self, inspected: Mapping[Group, Any], said: Mapping[Row, str]) -> None:
        self.inspected, self.said = inspected, said

    def at(self, row: Row) -> Any:
        if row.says:
            return self.said[row]
        found = self.inspected[row.group]
        for word in row.at.replace(".[", "\n").replace("]", "").partition("\n")[0].split("."):
            found = found[word]
        rest = row.at.partition(".[")[2].removesuffix("]")
        return found[rest] if rest else found


@pytest.fixture(scope="module", params=["20.10", "26.1"])
def member(request: pytest.FixtureRequest) -> tuple[Lab, str]:
    return request.getfixturevalue("modern" if request.param == "26.1" else "lab"), request.param


async def test_every_key_is_seen_in_a_real_container(member: tuple[Lab, str], tmp_path: Path) -> None:
    lab, version = member
    at = lab.hosts[0]
    host = Host(name=at.name, address=f"ssh://deploy@{at.private_ip}", private_ip=at.private_ip)
    fleet = Fleet(
        name="keys",
        private_net=lab.private_net,
        hosts={host.name: host},
        balancer=Balancer(hosts=(host.name,), address=at.private_ip),
        local=True,
    )
    engine = DockerEngine(reach_for(host, Ssh(config_file=str(lab.ssh_config))))
    try:
        info = await engine.info()
        api = (await engine.observe("none")).api
        known = tuple(int(part) for part in api.split("."))
        rows = tuple(r for r in ROWS if r.since <= known and (not r.v1 or info["CgroupVersion"] == "1"))
        looked = await look(engine, Goal(fleet, read(tmp_path, rows, fleet), 1), rows)
    finally:
        await clear(engine)
        await engine.close()
    wrong = {row.keys: (looked.at(row), row.seen) for row in rows if looked.at(row) != row.seen}
    assert wrong == {}, f"of {len(rows)} rows, on {version}"


async def look(engine: DockerEngine, goal: Goal, rows: tuple[Row, ...]) -> Looked:
    await engine.pull("debian:bookworm-slim", lambda _: None)
    await engine.ensure_network(NETWORK, "bpkeys", {})
    made = {name: container(goal, name) for name in goal.app.services}
    await asyncio.gather(*(_make(engine, name, c) for name, c in made.items()))
    inspected: dict[Any, Any] = {group: await engine.inspect(c.name) for group, c in made.items()}
    said = {}
    for row in rows:
        if row.says:
            done = await engine.exec(made[row.group].name, ["sh", "-c", row.says])
            said[row] = done.output.decode().strip()
    return Looked(inspected, said)


async def _make(engine: DockerEngine, group: str, container: Container) -> None:
    """One that is privileged is not started: it would have this machine's devices."""
    if group == "made":
        await engine.hold(replace(container, restart="no"))
    else:
        await engine.run(container)


def container(goal: Goal, name: str) -> Container:
    """As the plan has it, on a network of the test's own and without the names that a gateway lays down."""
    service, host = goal.app.services[name], next(iter(goal.fleet.hosts.values()))
    ports = bindings(service, host, range(20100, 20100 + len(free_targets(service))))
    made = replica_container(goal, service, 1, host, ports, "spec")
    return replace(made, binds={}, network=service.options.network_mode or NETWORK)


async def clear(engine: DockerEngine) -> None:
    for group in {row.group for row in ROWS}:
        await engine.remove(f"keys-{group}-1-r1", 0)
    await engine.remove_network(NETWORK)
    await engine.remove_volume("keys_data")
