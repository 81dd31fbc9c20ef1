from __future__ import annotations

import json
from hashlib import sha256
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from bayplan.errors import SpecError, UsageError
from bayplan.spec import load_fleet
from bayplan.spec.model import Balancer, Fleet, Host, Registry, Ssh, Tls, Usage
from bayplan.wiring import open_fleet

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "fleet.yaml"


@pytest.mark.usefixtures("folder")
def test_no_file_is_this_machines_engine() -> None:
    fleet = load_fleet(None, {})
    assert fleet == Fleet(
        name="local",
        private_net=IPv4Network("127.0.0.0/8"),
        hosts={"localhost": Host(name="localhost", address="unix:///var/run/docker.sock", private_ip="127.0.0.1")},
        balancer=Balancer(hosts=("localhost",), address="127.0.0.1"),
        local=True,
    )
    assert load_fleet(None, {"DOCKER_HOST": "unix:///x.sock"}).hosts["localhost"].address == "unix:///x.sock"
    assert load_fleet(None, {"DOCKER_HOST": ""}) == fleet


@pytest.mark.usefixtures("folder")
async def test_another_machines_engine_is_not_taken_for_this_ones() -> None:
    """What docker compose had brought to prod, up would have brought here."""
    fleet = load_fleet(None, {"DOCKER_HOST": "ssh://ann@prod"})
    with pytest.raises(UsageError, match="DOCKER_HOST is ssh://ann@prod") as told:
        async with open_fleet(fleet):
            pass
    assert "bayplan init ann@prod" in told.value.todo


def context(home: Path, name: str, host: str) -> dict[str, str]:
    """The environment of somebody who did `docker context create`, and `docker context use`."""
    meta = home / ".docker" / "contexts" / "meta" / sha256(name.encode()).hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}))
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {}, "currentContext": name}))
    return {"HOME": str(home)}


@pytest.mark.usefixtures("folder")
async def test_the_docker_context_in_use_is_heeded_as_docker_heeds_it(tmp_path: Path) -> None:
    environment = context(tmp_path, "rootless", "unix:///run/user/1000/docker.sock")

    def address(**more: str) -> str:
        return load_fleet(None, environment | more).hosts["localhost"].address

    assert address() == "unix:///run/user/1000/docker.sock"
    assert address(DOCKER_HOST="unix:///x.sock") == "unix:///x.sock"
    assert address(DOCKER_CONTEXT="default") == "unix:///var/run/docker.sock"
    assert address(DOCKER_CONFIG=str(tmp_path / "other")) == "unix:///var/run/docker.sock"
    with pytest.raises(UsageError, match="the docker context gone is not there") as told:
        address(DOCKER_CONTEXT="gone")
    assert "unset DOCKER_CONTEXT" in told.value.todo
    (tmp_path / ".docker" / "config.json").write_text("{")
    assert address() == "unix:///var/run/docker.sock"


@pytest.mark.usefixtures("folder")
async def test_a_docker_context_of_another_machine_is_not_taken_for_this_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the docker context prod is ssh://ann@prod, and without a fleet") as told:
        async with open_fleet(load_fleet(None, context(tmp_path, "prod", "ssh://ann@prod"))):
            pass
    assert "bayplan init ann@prod; or, for this machine, docker context use default" in told.value.todo


def test_short(folder) -> None:
    fleet = folder.fleet(
        "name: shop\nprivate_net: 10.77.0.0/24\nhosts: {h1: ssh://d@10.77.0.11, h2: ssh://10.77.0.12:2222}"
    )
    assert fleet == Fleet(
        name="shop",
        private_net=IPv4Network("10.77.0.0/24"),
        hosts={
            "h1": Host(name="h1", address="ssh://d@10.77.0.11", private_ip="10.77.0.11"),
            "h2": Host(name="h2", address="ssh://10.77.0.12:2222", private_ip="10.77.0.12"),
        },
        balancer=Balancer(hosts=("h1",), address="10.77.0.11"),
    )


def test_one_local_engine_needs_no_private_net(folder) -> None:
    fleet = folder.fleet("name: one\nhosts: {here: unix:///var/run/docker.sock}")
    assert (fleet.private_net, fleet.hosts["here"].private_ip) == (IPv4Network("127.0.0.1/32"), "127.0.0.1")


def test_long(folder) -> None:
    fleet = folder.fleet(
        """
name: shop
private_net: 10.77.0.0/24
hosts:
  h1: {address: "ssh://deploy@h1.example.com", private_ip: 10.77.0.11, zone: a, labels: {disk: ssd, gen: 3}}
  h2: {address: "tcp://10.77.0.12:2376", tls: {ca: tls/ca.pem, cert: tls/cert.pem, key: /keys/key.pem}}
balancer: {kind: haproxy, hosts: [h1, h2], address: 203.0.113.10}
registry: {address: registry.example.com/shop, username: me, password_command: pass show registry}
gateway: {image: "haproxy:3.0"}
ports: 30000-30999
tolerate: 1
headroom: 20%
store: postgresql://x/y
ssh: {config_file: .lab/ssh_config}
x-note: ours
"""
    )
    assert fleet.hosts["h1"].labels == {"disk": "ssd", "gen": "3"}
    assert fleet.hosts["h2"].private_ip == "10.77.0.12"
    assert fleet.hosts["h2"].tls == Tls(
        ca=str(folder.path / "tls/ca.pem"), cert=str(folder.path / "tls/cert.pem"), key="/keys/key.pem"
    )
    assert fleet.balancer == Balancer(hosts=("h1", "h2"), address="203.0.113.10")
    assert fleet.registry == Registry(
        address="registry.example.com/shop", username="me", password_command="pass show registry"
    )
    assert (fleet.gateway_image, fleet.ports) == ("haproxy:3.0", (30000, 30999))
    assert (fleet.tolerate, fleet.headroom, fleet.store) == (1, 0.2, "postgresql://x/y")
    assert fleet.ssh == Ssh(config_file=str(folder.path / ".lab/ssh_config"))


def test_where_it_is_found(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def text(name: str) -> str:
        return f"name: {name}\nprivate_net: 10.0.0.0/8\nhosts: {{h: ssh://10.0.0.1}}"

    folder.write("fleet.yaml", text("above"))
    named = folder.write("named/f.yaml", text("named"))
    beside = folder.write("app/fleet.yaml", text("beside")).parent / "compose.yaml"
    below = folder.path / "x" / "y"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_fleet(None, {}).name == "above"
    assert load_fleet(None, {}, [beside]).name == "beside"
    assert load_fleet(None, {"BAYPLAN_FLEET": str(named)}).name == "named"
    assert load_fleet(named, {"BAYPLAN_FLEET": "other"}).name == "named"


def test_a_named_file_must_be_there(folder) -> None:
    assert folder.mistakes(lambda: load_fleet(Path("none.yaml"), {})) == ["0: there is no none.yaml | check the name"]


def test_the_annotated_reference() -> None:
    fleet = load_fleet(REFERENCE, {})
    assert list(fleet.hosts) == ["h1", "h2", "h3"]
    assert fleet.registry == Registry(host="h1")


def test_usage_is_read_from_the_file_beside_it(folder) -> None:
    folder.write("usage.csv", "service,resource,v0,v1\nweb,cpu,0.5,1\nshop/db,memory,1,2\n")
    fleet = folder.fleet("name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1}\nusage: usage.csv")
    assert fleet.usage == {"web": Usage(cpus=(0.5, 1.0)), "shop/db": Usage(memory=(1024.0**3, 2 * 1024.0**3))}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "usage.csv: is empty"),
        ("service,v0\nweb,1\n", "usage.csv:1: column resource is missing"),
        ("service,resource\nweb,cpu\n", "usage.csv:1: has no values"),
        ("service,resource,v0\nweb,gpu,1\n", "usage.csv:2: column resource: hosts have no gpu"),
        ("service,resource,v0\nweb,cpu,-1\n", "usage.csv:2: column v0: -1 is negative"),
        ("service,resource,v0,v1\nweb,cpu,1\n", "usage.csv:2: column v1: is missing"),
        ("service,resource,v0\nweb,cpu,1\nweb,cpu,2\n", "usage.csv:3: column resource: cpu of web is there already"),
    ],
)
def test_what_is_wrong_in_it(text, told, folder) -> None:
    folder.write("usage.csv", text)
    with pytest.raises(SpecError) as wrong:
        folder.fleet("name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1}\nusage: usage.csv")
    assert told in str(wrong.value)
