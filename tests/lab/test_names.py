"""Services of an app reach each other, from any host, whatever is added, moved, rolled or killed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import DOCKERFILE, PATIENCE, SERVER, bayplan, on, operator

from bayplan.lab import Lab, machines
from bayplan.lab.process import wait_for

pytestmark = pytest.mark.shares_lab

# Asks SERVICE:PORT COUNT times, with a pause of PAUSE seconds; over one connection while it stays open. A call that
# breaks is tried once more on a new connection, as any client library does with a GET. Prints who answered, or FAILED.
CALLER = r"""
use strict; use IO::Socket::INET; $SIG{PIPE} = 'IGNORE'; $| = 1;
my ($service, $port, $count, $pause) = @ARGV; my $open;
sub call {
    $open ||= IO::Socket::INET->new(PeerAddr => $service, PeerPort => $port, Timeout => 3) or return;
    print $open "GET / HTTP/1.1\r\nHost: x\r\n\r\n" or return;
    my $got = sysread($open, my $said, 65536);
    return unless $got && $said =~ /^HTTP\/1.1 200.*\r\n\r\n(.*)\n/s;
    return $1;
}
for (1 .. $count) {
    my $who = call(); if (!defined $who) { undef $open; $who = call() } if (!defined $who) { undef $open; $who = "FAILED $!" }
    print "$who\n"; select(undef, undef, undef, $pause) if $pause;
}
"""


class Shop:
    """front calls api (three replicas, HTTP) and store (one, plain TCP at another port)."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab, self.directory = lab, directory
        (directory / "web").mkdir()
        (directory / "web" / "Dockerfile").write_text(DOCKERFILE.replace("CMD", "EXPOSE 80\nCOPY call.pl /\nCMD"))
        (directory / "web" / "web.pl").write_text(SERVER)
        (directory / "web" / "call.pl").write_text(CALLER)
        one = {"build": "./web", "stop_grace_period": "1s", "x-bayplan": {"drain": "2s"}}
        self.services: dict[str, dict[str, Any]] = {
            "front": {**one, "networks": {"default": {}, "back": {}}, "deploy": {"replicas": 3}},
            "api": {**one, "environment": {"VERSION": "one"}, "deploy": {"replicas": 3}},
            "store": {
                **one,
                "environment": {"PORT": "9000"},
                "expose": ["9000"],
                "networks": {"back": {"aliases": ["db"]}},
            },
        }

    def write(self) -> None:
        text = json.dumps({"name": "shop", "services": self.services, "networks": {"back": {}}})
        (self.directory / "compose.yaml").write_text(text)

    def bayplan(self, *words: str) -> str:
        return bayplan(self.directory, operator(self.lab), *words).stdout

    def containers(self) -> dict[str, str]:
        """Ids of the replicas, by name."""
        found: dict[str, str] = {}
        for host in self.lab.hosts:
            listed = on(self.lab, host.name, "docker", "ps", "--no-trunc", "--filter", "label=bayplan.app=shop",
                        "--format", "{{.Names}} {{.ID}}")  # fmt: skip
            found |= dict(line.split() for line in listed.splitlines())
        return found

    def front(self, host: str) -> str:
        """A replica of front there."""
        listed = on(self.lab, host, "docker", "ps", "--filter", "label=bayplan.service=front", "--format", "{{.Names}}")
        return listed.split()[0]

    def asks(self, host: str, service: str, port: int, count: int = 9, pause: float = 0.0) -> list[str]:
        """Who answered front's calls from that host."""
        argv = ["docker", "exec", self.front(host), "perl", "/call.pl", service, str(port), str(count), str(pause)]
        return on(self.lab, host, *argv).splitlines()

    def asking(self, host: str, service: str, port: int, count: int, pause: float) -> subprocess.Popen[str]:
        argv = ["docker", "exec", self.front(host), "perl", "/call.pl", service, str(port), str(count), str(pause)]
        return subprocess.Popen(
            machines.on_console(self.lab.host(host), argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture(scope="module")
def shop(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(lab, tmp_path_factory.mktemp("shop"))
    made.write()
    made.bayplan("up")
    yield made
    made.bayplan("down")


def test_every_replica_reaches_every_replica_by_name_from_every_host(shop: Shop) -> None:
    for host in shop.lab.hosts:
        said = shop.asks(host.name, "api", 80)
        assert {line.split()[0] for line in said} <= {"api-1", "api-2", "api-3"}, said
        assert {line.split()[0] for line in shop.asks(host.name, "store", 9000, 2)} == {"store-1"}
        assert {line.split()[0] for line in shop.asks(host.name, "db", 9000, 2)} == {"store-1"}
    who = {line.split()[0] for host in shop.lab.hosts for line in shop.asks(host.name, "api", 80)}
    assert who == {"api-1", "api-2", "api-3"}


def test_apps_on_one_network_know_each_other_and_nobody_starts_anew(shop: Shop, tmp_path: Path) -> None:
    """stock is alone in its app, and comes last: api, which runs already, calls it on the network of shop's own name."""
    (tmp_path / "web").symlink_to(shop.directory / "web")
    environment = operator(shop.lab)
    web = {"build": "./web", "stop_grace_period": "1s", "environment": {"PORT": "7000"}, "expose": ["7000"]}
    networks = {"shop": {"external": True, "name": "shop_default"}}
    app = {"name": "other", "services": {"stock": {**web, "networks": ["shop"]}}, "networks": networks}
    (tmp_path / "compose.yaml").write_text(json.dumps(app))
    before = shop.containers()
    bayplan(tmp_path, environment, "up")
    try:
        assert shop.containers() == before
        for host in shop.lab.hosts:
            for name in ("stock", "stock.other"):
                assert {line.split()[0] for line in shop.asks(host.name, name, 7000, 2)} == {"stock-1"}
        argv = ["exec", "stock", "perl", "/call.pl", "api.shop", "80", "9", "0"]
        said = bayplan(tmp_path, environment, *argv).stdout.splitlines()
        assert {line.split()[0] for line in said} <= {"api-1", "api-2", "api-3"}, said
        assert (
            "nobody"
            in bayplan(tmp_path, environment, "exec", "stock", "sh", "-c", "getent hosts store || echo nobody").stdout
        )
    finally:
        bayplan(tmp_path, environment, "down")
    assert "nobody" in shop.bayplan("exec", "front", "sh", "-c", "getent hosts stock || echo nobody")
    assert shop.containers() == before


# Prints "open", or what connecting to ADDRESS:PORT was refused with.
REACH = r"""
use strict; use IO::Socket::INET; my $open = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1]);
print $open ? "open\n" : "$!\n";
"""


def test_who_is_on_internal_networks_alone_reaches_the_fleet_and_nobody_outside(shop: Shop, tmp_path: Path) -> None:
    environment = operator(shop.lab)
    (tmp_path / "web").mkdir()
    for name in ("web.pl", "call.pl"):
        (tmp_path / "web" / name).write_text((shop.directory / "web" / name).read_text())
    (tmp_path / "web" / "reach.pl").write_text(REACH)
    (tmp_path / "web" / "Dockerfile").write_text(DOCKERFILE.replace("CMD", "EXPOSE 80\nCOPY *.pl /\nCMD"))
    one = {"build": "./web", "stop_grace_period": "1s", "deploy": {"replicas": 2}}
    services = {"edge": {**one, "networks": ["default", "back"]}, "vault": {**one, "networks": ["back"]}}

    def up(*, internal: bool) -> None:
        app = {"name": "cut", "services": services, "networks": {"back": {"internal": internal}}}
        (tmp_path / "compose.yaml").write_text(json.dumps(app))
        bayplan(tmp_path, environment, "up")

    def asked(service: str, *argv: str) -> str:
        return bayplan(tmp_path, environment, "exec", service, "perl", *argv).stdout.strip()

    try:
        up(internal=True)
        told = {asked("vault", "/reach.pl", host.private_ip, "22") for host in shop.lab.hosts}
        assert told == {"Network is unreachable", "open"}, "its own host alone: what it sends there is not forwarded"
        assert {asked("edge", "/reach.pl", host.private_ip, "22") for host in shop.lab.hosts} == {"open"}
        for caller, called in (("edge", "vault"), ("vault", "edge")):
            said = asked(caller, "/call.pl", called, "80", "8", "0").splitlines()
            assert {line.split()[0] for line in said} == {f"{called}-1", f"{called}-2"}, said
        up(internal=False)
        assert {asked("vault", "/reach.pl", host.private_ip, "22") for host in shop.lab.hosts} == {"open"}
    finally:
        bayplan(tmp_path, environment, "down")
    for host in shop.lab.hosts:
        assert "cut" not in on(shop.lab, host.name, "docker", "network", "ls", "--format", "{{.Name}}")


def test_names_are_known_on_a_shared_network_only(shop: Shop) -> None:
    def resolves(service: str, name: str) -> bool:
        argv = ["exec", service, "sh", "-c", f"getent hosts {name} || echo nobody"]
        return "nobody" not in shop.bayplan(*argv)

    assert resolves("front", "store")
    assert resolves("front", "api")
    assert not resolves("api", "store")
    assert not resolves("api", "db")
    assert resolves("api", "api-1") or resolves("api", "api-2") or resolves("api", "api-3")  # its own hostname


def test_nobody_outside_reaches_a_services_address(shop: Shop) -> None:
    address = shop.bayplan("exec", "front", "getent", "hosts", "api").split()[0]
    public = shop.lab.hosts[0].public_ip
    probe = f"ip route replace {address} via {public} && curl -s -m 2 http://{address}/ || echo nobody; ip route del {address}"
    assert shop.lab.outside(["sh", "-c", probe]).stdout.strip() == "nobody"


def test_a_service_that_is_added_is_known_to_all_and_starts_nobody_anew(shop: Shop) -> None:
    before = shop.containers()
    shop.services["late"] = {**shop.services["api"], "environment": {"VERSION": "late"}, "deploy": {"replicas": 1}}
    shop.write()
    shop.bayplan("up")
    after = shop.containers()
    assert {n: i for n, i in after.items() if n in before} == before
    for host in shop.lab.hosts:
        assert [line.split()[0] for line in shop.asks(host.name, "late", 80, 2)] == ["late-1", "late-1"]


def test_a_service_that_is_not_run_here_has_a_name_and_an_address_all_the_same(shop: Shop) -> None:
    told = json.loads(shop.bayplan("ps", "--json"))
    [api] = [s for s in told["services"] if s["service"] == "api"]
    address, _, port = api["instances"][0]["endpoint"].partition(":")
    shop.services["managed"] = {"x-bayplan": {"external": {"address": address, "port": int(port)}}}
    shop.write()
    shop.bayplan("up")
    said = shop.asks("h1", "managed", int(port), 3)
    assert {line.split()[0] for line in said} == {api["instances"][0]["name"].removeprefix("shop-").rpartition("-r")[0]}
    del shop.services["managed"]


def test_sshd_on_the_host_and_a_port_that_is_redirected_take_no_call_to_a_service(shop: Shop) -> None:
    shop.services["git"] = {**shop.services["store"], "environment": {"PORT": "22"}, "expose": ["22"], "networks": {}}
    shop.write()
    shop.bayplan("up")
    taking = ["PREROUTING", "-p", "tcp", "--dport", "9000", "-j", "REDIRECT", "--to-ports", "1"]
    for host in shop.lab.hosts:
        assert [line.split()[0] for line in shop.asks(host.name, "git", 22, 2)] == ["git-1", "git-1"]
    on(shop.lab, "h2", "iptables", "-t", "nat", "-A", *taking)
    try:
        assert [line.split()[0] for line in shop.asks("h2", "store", 9000, 2)] == ["store-1", "store-1"]
    finally:
        on(shop.lab, "h2", "iptables", "-t", "nat", "-D", *taking)
    del shop.services["git"]


def test_what_has_a_service_s_port_on_any_host_is_told_before_anything_is_changed(shop: Shop) -> None:
    on(
        shop.lab,
        "h2",
        "docker",
        "run",
        "-d",
        "--name",
        "theirs",
        "-p",
        "9300:80",
        "debian:bookworm-slim",
        "sleep",
        "99",
    )
    shop.services["late"] = {**shop.services["api"], "environment": {"PORT": "9300"}, "expose": ["9300"]}
    shop.write()
    before = shop.containers()
    try:
        refused = bayplan(shop.directory, operator(shop.lab), "up", status=1)
        said = " ".join((refused.stdout + refused.stderr).split())
        held = "h2: the container theirs has port 9300, on which others reach late; nothing of the app was changed"
        assert held in said, said
        assert shop.containers() == before
    finally:
        on(shop.lab, "h2", "docker", "rm", "-f", "theirs")
        del shop.services["late"]


def test_a_called_service_is_rolled_and_no_call_fails(shop: Shop) -> None:
    asking = [shop.asking(host.name, "api", 80, 1500, 0.01) for host in shop.lab.hosts[:2]]
    shop.services["api"]["environment"] = {"VERSION": "two"}
    shop.write()
    shop.bayplan("up")
    said = [line for calls in asking for line in (calls.communicate(timeout=PATIENCE)[0] or "").splitlines()]
    assert len(said) == 3000
    assert [line for line in said if line.startswith("FAILED")] == []
    assert {line.split()[-1] for line in said} == {"one", "two"}


def test_a_host_that_is_lost_breaks_no_call_for_longer_than_a_retry(shop: Shop) -> None:
    lab = shop.lab
    first = shop.asks("h1", "api", 80, 3)
    assert not [line for line in first if line.startswith("FAILED")]
    asking = shop.asking("h1", "api", 80, 300, 0.03)
    lab.fault("cut", "h3")
    try:
        said = (asking.communicate(timeout=PATIENCE)[0] or "").splitlines()
    finally:
        lab.fault("heal", "h3")
    assert len(said) == 300
    assert [line for line in said if line.startswith("FAILED")] == []
    wait_for(lambda: "unreachable" not in shop.bayplan("ps", "--json"), "h3 is back", deadline=PATIENCE)
