"""Judging what hosts and files tell."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import cast

import pytest
from tests import given
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan.errors import HostRefusedError
from bayplan.facts import EngineFacts, GatewayFacts, HostFacts, ServerFacts, ServerState, SystemContainer
from bayplan.operate.doctor.files import file_findings, secrets
from bayplan.operate.doctor.fleet import fleet_findings, net_findings
from bayplan.operate.doctor.host import clock_finding, engine_findings, examine, reading_findings
from bayplan.operate.doctor.machine import ssh_finding
from bayplan.operate.doctor.readings import Readings, command, read
from bayplan.operate.doctor.system import _get, external_findings, gateway_finding, renamed
from bayplan.operate.doors import Door
from bayplan.ports import FleetPorts, Gateway, Reach
from bayplan.routing import Listener, Pool, Server, Table
from bayplan.spec.model import App, Balancer, Fleet, Host, Port, Service
from bayplan.wiring import open_fleet

HOST = Host(name="h1", address="ssh://u@10.0.0.1", private_ip="10.0.0.1")
FLEET = Fleet(
    name="f",
    private_net=IPv4Network("10.0.0.0/24"),
    hosts={"h1": HOST},
    balancer=Balancer(hosts=("h1",), address="10.0.0.1"),
)
WELL = Readings(
    disk_total=100 << 30, disk_free=50 << 30, files_total=1 << 20, files_free=1 << 19, memory_total=8 << 30, memory_free=4 << 30,
    addresses=frozenset({"127.0.0.1", "10.0.0.1"}), listening=frozenset({Door(22)}), outgoing=(32768, 60999),
)  # fmt: skip
SEEN = HostFacts("h1", reachable=True, engine=EngineFacts("26.1", "1.45"))


def judged(readings: Readings, facts: HostFacts = SEEN, app: App | None = None) -> dict[str, str]:
    ports = FleetPorts(FLEET, {}, {}, {}, None, None, None, None)  # type: ignore[arg-type]  only the fleet is asked
    worst: dict[str, str] = {}
    for f in reading_findings(ports, HOST, facts, readings, app):
        worst[f.check] = max(f.level, worst.get(f.check, ""), key=("", "ok", "warn", "fail").index)
        assert f.level == "ok" or f.todo
    return worst


def test_a_host_that_is_well() -> None:
    assert judged(WELL) == {"disk": "ok", "memory": "ok", "private_ip": "ok", "ports": "ok"}


@pytest.mark.parametrize(
    ("free", "level"), [(50 << 30, "ok"), (9 << 30, "warn"), (4 << 30, "warn"), (1 << 30, "fail"), (0, "fail")]
)
def test_room_on_the_disk(free: int, level: str) -> None:
    assert judged(replace(WELL, disk_free=free))["disk"] == level


@pytest.mark.parametrize(
    ("total", "free", "level"), [(0, 0, "ok"), (1000, 200, "ok"), (1000, 90, "warn"), (1000, 1, "fail")]
)
def test_room_for_more_files(total: int, free: int, level: str) -> None:
    """Half the disk was free, nothing could be written, and doctor found it well."""
    assert judged(replace(WELL, files_total=total, files_free=free))["disk"] == level


def test_little_memory_another_address_and_ports_that_overlap() -> None:
    found = judged(replace(WELL, memory_free=1 << 20, addresses=frozenset({"10.0.0.2"}), outgoing=(1024, 65535)))
    assert found == {"disk": "ok", "memory": "warn", "private_ip": "fail", "ports": "warn"}


def test_a_listener_is_free_ours_or_another_s() -> None:
    app = App(name="a", services={"web": Service(name="web", ports=(Port(target=80, published=80),))})
    taken = replace(WELL, listening=frozenset({Door(80)}))
    published = replace(SEEN, engine=replace(SEEN.engine, taken=frozenset({("tcp", 80)})))
    assert "listener" not in judged(WELL, app=app)
    assert judged(taken, app=app)["listener"] == "fail"
    assert judged(WELL, published, app)["listener"] == "fail"


def test_a_listener_is_barred_by_what_would_bar_up() -> None:
    """Another address of the host is nobody's way; what a service has at its own address is not clients' port."""
    at = Port(target=80, published=80, address="10.0.0.1")
    app = App(name="a", services={"web": Service(name="web", ports=(at,))})
    elsewhere = replace(WELL, listening=frozenset({Door(80, "127.0.0.1")}))
    assert "listener" not in judged(elsewhere, app=app)
    inner = GatewayFacts(Table(listeners=(Listener(80, "198.18.0.9", "http", ()),)))
    stranger = replace(WELL, listening=frozenset({Door(80, "198.18.0.9"), Door(80, "10.0.0.1")}))
    assert judged(stranger, replace(SEEN, gateway=inner), app)["listener"] == "fail"


def test_engines_that_are_old_or_enforce_too_little() -> None:
    def levels(info: dict[str, object], api: str = "1.45") -> set[str]:
        facts = replace(SEEN, engine=replace(SEEN.engine, api=api))
        return {f"{f.check} {f.level}" for f in engine_findings("h1", info, facts)}

    assert levels({"Driver": "overlay2", "CgroupVersion": "2"}) == {"storage ok", "limits ok"}
    assert levels({"Driver": "vfs", "PidsLimit": False}, "1.40") == {"engine fail", "storage warn", "limits warn"}
    assert "engine fail" in levels({"OSType": "windows"})


@pytest.mark.parametrize(
    ("said", "level", "words"),
    [
        ("1970-01-01T00:01:40.5Z", "ok", "agrees"),
        ("1970-01-01T00:01:43.2Z", "ok", "agrees"),  # within two seconds of the answer
        ("1970-01-01T00:01:50Z", "warn", "8.0 s ahead of"),
        ("1970-01-01T00:00:40Z", "warn", "60 s behind"),
        ("", "warn", "not known"),
    ],
)
def test_clocks(said: str, level: str, words: str) -> None:
    found = clock_finding("h1", said, asked=100.0, answered=102.0)
    assert (found.level, words in found.what) == (level, True), found


def test_readings_are_read_from_this_machine() -> None:
    import subprocess

    said = subprocess.run(command("/"), capture_output=True, text=True, check=True).stdout
    found = read(said)
    assert 0 < found.disk_free < found.disk_total
    assert 0 < found.memory_free < found.memory_total
    assert "127.0.0.1" in found.addresses
    assert 0 < found.outgoing[0] < found.outgoing[1]


def test_listening_ports_are_read() -> None:
    import socket
    import subprocess

    with socket.create_server(("127.0.0.1", 0)) as server:
        said = subprocess.run(command("/"), capture_output=True, text=True, check=True).stdout
        assert Door(server.getsockname()[1], "127.0.0.1") in read(said).listening


def test_nothing_said_is_nothing_known() -> None:
    assert read("") == Readings(0, 0, 0, 0, 0, 0, frozenset(), frozenset(), (0, 0))


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("OpenSSH_9.2p1 Debian-2, OpenSSL 3", "ok"),
        ("OpenSSH_for_Windows_9.5p1", "warn"),
        ("OpenSSH_6.6.1p1", "fail"),
        (None, "fail"),
    ],
)
def test_ssh_versions(said: str | None, level: str) -> None:
    assert ssh_finding(said).level == level


def test_gateways() -> None:
    def level(state: str | None, gateway: GatewayFacts | None) -> str:
        system = (SystemContainer("i", "gateway", "s", state),) if state else ()  # type: ignore[arg-type]
        others = (SystemContainer("j", "guard", "s", "running"),)
        return gateway_finding(HostFacts("h", True, engine=EngineFacts(system=system + others), gateway=gateway)).level

    assert level("running", GatewayFacts()) == "ok"
    assert level("running", GatewayFacts(in_step=False)) == "warn"
    assert level("running", None) == "fail"
    assert level("exited", None) == "fail"
    assert level(None, None) == "fail"
    assert gateway_finding(HostFacts("h", reachable=True)).level == "ok"  # nothing of the fleet is there yet


def test_what_was_renamed_is_told_with_the_name_that_it_is_to_have() -> None:
    there = SystemContainer("i", "guard", "s", "running", name="mine")
    found = renamed("t", HostFacts("h", True, engine=EngineFacts(system=(there,))), "guard")
    assert found is not None
    assert (found.level, found.check) == ("fail", "guard")
    assert "mine instead of bayplan-guard-t" in found.what
    named = replace(there, name="bayplan-guard-t")
    assert renamed("t", HostFacts("h", True, engine=EngineFacts(system=(named,))), "guard") is None


def test_environment_that_looks_like_a_secret() -> None:
    environment = {"DB_PASSWORD": "x", "API_KEY": "y", "DB_PASSWORD_FILE": "/run/p", "TOKEN": "", "COLOUR": "red"}
    (found,) = secrets(App(name="a", services={"web": Service(name="web", environment=environment)}))
    assert (found.level, found.where) == ("warn", "service web")
    assert "DB_PASSWORD, API_KEY:" in found.what


def test_every_mistake_of_both_files_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.yaml").write_text("name: f\nhots: {}\nports: 1\n")
    (tmp_path / "compose.yaml").write_text("services: {web: {imagee: x, image: [1]}}\n")
    fleet, app, found = file_findings(None, None, None, {})
    assert fleet is app is None
    assert {f.level for f in found} == {"fail"}
    assert {f.where.partition(":")[0] for f in found} == {"fleet.yaml", "compose.yaml"}
    assert len(found) >= 4


def test_no_files_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fleet, app, found = file_findings(None, None, None, {})
    assert fleet is not None
    assert fleet.local
    assert app is None
    assert [(f.check, f.level) for f in found] == [("fleet file", "ok"), ("compose file", "warn")]


async def test_a_host_that_is_not_there_is_one_failure_with_what_to_do(tmp_path: Path) -> None:
    host = Host(name="here", address=f"unix://{tmp_path}/none.sock", private_ip="127.0.0.1")
    fleet = FLEET.model_copy(update={"hosts": {"here": host}})
    async with open_fleet(fleet) as ports:
        (found,) = await fleet_findings(ports, None)
    assert (found.level, found.check, found.where) == ("fail", "reach", "here")
    assert found.todo


async def test_a_registry_that_hangs_up_at_once_is_told_in_words() -> None:
    """A gateway that does not reach the registry's host takes the connection and closes it."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError, match="no connection to the registry's host"):
            await _get(f"tcp:127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("net", "levels"),
    [
        ("10.0.0.0/24", []),
        ("127.0.0.0/8", []),
        ("203.0.113.5/32", []),
        ("203.0.113.0/24", ["warn"]),
        ("0.0.0.0/0", ["warn"]),
    ],
)
def test_a_private_net_that_is_none_is_told(net: str, levels: list[str]) -> None:
    fleet = FLEET.model_copy(update={"private_net": IPv4Network(net)})
    assert [finding.level for finding in net_findings(fleet)] == levels


@pytest.mark.parametrize(
    ("state", "up", "level", "told"),
    [
        ("ready", True, "ok", "answers"),
        ("ready", False, "fail", "is not reached: its check says L4TOUT"),
        ("maint", None, "fail", "is not reached: its name is not found"),
    ],
)
def test_a_service_that_is_managed_elsewhere_is_asked_of_each_gateway(
    state: ServerState, up: bool | None, level: str, told: str
) -> None:
    pool = Pool("shop.db.5432", "shop", "db", fixed="db.example.com:5432")
    away = ServerFacts(Server("db", "db.example.com", 5432), state, up, check="L4TOUT", since=9.0)
    gateway = GatewayFacts(Table(pools=(Pool("shop.web.80", "shop", "web"), pool)), away={pool.name: away})
    (found,) = external_findings(HostFacts("h1", reachable=True, gateway=gateway))
    assert (found.level, found.check, found.where) == (level, "external", "h1")
    assert found.what == f"db of shop, at db.example.com:5432, {told}"
    assert bool(found.todo) is (level == "fail")


def test_what_to_do_about_a_host_that_refuses_is_told() -> None:
    """It was lost on the way from what was observed, where the engine answers and the gateway cannot be reached."""

    class Refusing:
        async def observe(self) -> GatewayFacts:
            raise HostRefusedError("it has no perl", todo="install it")

        async def run(self, argv: list[str]) -> str:  # noqa: ARG002
            return ""

    memory = MemoryFleet(given.fleet("h1"))
    gateway, reach = cast("Gateway", Refusing()), cast("Reach", Refusing())
    ports = replace(memory.ports, gateways={"h1": gateway}, reaches={"h1": reach})
    (told,) = run(examine(ports, memory.fleet.hosts["h1"], None)).findings
    assert (told.level, told.check, told.what, told.todo) == ("fail", "access", "it has no perl", "install it")
