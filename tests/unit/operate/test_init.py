"""Hosts as people type them, the private address that they have, and files that are not overwritten."""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.virtual_time import run

from bayplan.errors import BayplanError, HostUnreachableError, UsageError
from bayplan.operate.doors import Door
from bayplan.operate.init import (
    Seen,
    certificates,
    common_network,
    entries,
    hosts_of,
    look,
    private_address,
    provisional,
    registry_port,
    write,
)
from bayplan.spec.model import Ssh, Tls

CARDS = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: eth0    inet 203.0.113.7/24 brd 203.0.113.255 scope global eth0\\       valid_lft forever
3: docker0    inet 172.17.0.1/16 brd 172.17.255.255 scope global docker0\\       valid_lft forever
4: br-1a2b3c    inet 172.18.0.1/16 scope global br-1a2b3c\\       valid_lft forever
5: bp12ab34cd56    inet 172.19.0.1/16 scope global bp12ab34cd56\\       valid_lft forever
6: eth1    inet 10.1.0.7/20 brd 10.1.15.255 scope global eth1\\       valid_lft forever
7: eth2    inet 10.9.0.7/24 scope global eth2\\       valid_lft forever
"""


def test_hosts_are_typed_as_for_ssh() -> None:
    found = hosts_of(["deploy@10.0.0.11", "10.0.0.12:2222", "web1.example.com", "ssh://root@db", "web1.other.org"])
    assert [(h.name, h.address, h.private_ip) for h in found] == [
        ("h1", "ssh://deploy@10.0.0.11", "10.0.0.11"),
        ("h2", "ssh://10.0.0.12:2222", "10.0.0.12"),
        ("web1", "ssh://web1.example.com", ""),
        ("db", "ssh://root@db", ""),
        ("h5", "ssh://web1.other.org", ""),
    ]


def test_a_host_over_tls_has_its_certificates_and_others_have_none() -> None:
    tls = Tls(ca="ca", cert="cert", key="key")
    found = hosts_of(["tcp://10.0.0.11", "tcp://web1.example.com:2377/", "10.0.0.12"], tls)
    assert [(h.name, h.address, h.private_ip, h.tls) for h in found] == [
        ("h1", "tcp://10.0.0.11:2376", "10.0.0.11", tls),
        ("web1", "tcp://web1.example.com:2377", "", tls),
        ("h3", "ssh://10.0.0.12", "10.0.0.12", None),
    ]


def test_certificates_are_where_they_are_named_or_where_docker_s_client_has_them(tmp_path: Path) -> None:
    typed = ("10.0.0.11", "tcp://10.0.0.12:2376")
    for name in ("ca.pem", "key.pem"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=rf"tcp://10\.0\.0\.12:2376 is .* {tmp_path} has no cert\.pem") as told:
        certificates(typed, None, tmp_path)
    assert "--tls FOLDER" in told.value.todo
    (tmp_path / "cert.pem").touch()
    assert certificates(typed, None, tmp_path) == certificates(typed, tmp_path, tmp_path / "x") == tmp_path
    assert certificates(typed[:1], None, tmp_path / "x") is None
    with pytest.raises(UsageError, match="none is named"):
        certificates(typed[:1], tmp_path, tmp_path)


@pytest.mark.usefixtures("no_threads")
def test_a_host_over_tls_that_has_no_guard_yet_is_looked_at_all_the_same() -> None:
    """Its engine answers, and nobody tells its addresses."""

    class NoGuard:
        async def run(self, _: object) -> str:
            raise HostUnreachableError("its guard is not there", where="h1")

    class Answers:
        async def info(self) -> dict[str, str]:
            return {"ServerVersion": "26.1"}

        async def observe(self, _: str) -> Any:
            return SimpleNamespace(system=())

    def looked(address: str) -> Seen:
        hosts = hosts_of([address], Tls(ca="ca", cert="cert", key="key"))
        ports: Any = SimpleNamespace(
            fleet=provisional("shop", hosts, Ssh()),
            reaches=dict.fromkeys((h.name for h in hosts), NoGuard()),
            engines=dict.fromkeys((h.name for h in hosts), Answers()),
        )
        return run(look(ports))[0]

    seen = looked("tcp://10.0.0.11")
    assert (str(seen.at), seen.engine, seen.why) == ("10.0.0.11/24", "26.1", "")
    ((line,), net) = entries([seen])
    assert (line.private_ip, line.note[:13]) == ("10.0.0.11", "is private_ip")
    assert net == IPv4Network("10.0.0.0/24")
    assert looked("10.0.0.11").why == "its guard is not there"


@pytest.mark.parametrize(
    "typed",
    [
        ["a b"],
        ["tcp://u@a:1"],
        ["a", "a"],
        ["ssh://a", "a/"],
        ["tcp://a", "tcp://a:2376"],
        ["tcp://"],
        ["tcp://a:99999"],
        ["a:0"],
    ],
)
def test_what_is_no_host_or_named_twice_is_refused(typed: list[str]) -> None:
    with pytest.raises(UsageError):
        hosts_of(typed)


@pytest.mark.parametrize(
    ("typed", "found"), [("", "10.1.0.7/20"), ("203.0.113.7", "10.1.0.7/20"), ("10.9.0.7", "10.9.0.7/24")]
)
def test_the_private_address_is_a_network_card_s(typed: str, found: str) -> None:
    assert str(private_address(CARDS, typed)) == found


def test_a_host_with_only_a_public_address_has_that() -> None:
    assert str(private_address("\n".join(CARDS.splitlines()[:3]), "")) == "203.0.113.7/24"
    assert private_address("", "") is None


def test_private_net_holds_every_host() -> None:
    both = [IPv4Interface("10.0.1.5/24"), IPv4Interface("10.0.2.5/24")]
    assert common_network(both) == IPv4Network("10.0.0.0/22")
    assert common_network(both[:1]) == IPv4Network("10.0.1.0/24")


def seen(*addresses: str) -> list[Seen]:
    hosts = hosts_of([a.partition("/")[0] for a in addresses])
    return [Seen(h, IPv4Interface(a), "26.1") for h, a in zip(hosts, addresses, strict=True)]


@pytest.mark.parametrize(
    ("addresses", "net"),
    [
        (("203.0.113.5/24", "198.51.100.7/24"), "192.0.0.0/4"),
        (("203.0.113.5/24", "203.0.113.7/24"), "203.0.113.0/24"),  # a provider's: its other customers are in it
        (("10.0.0.5/24", "192.168.0.5/24"), "0.0.0.0/0"),
    ],
)
def test_hosts_that_only_a_public_network_holds_are_refused(addresses: tuple[str, ...], net: str) -> None:
    with pytest.raises(UsageError, match=f"all of {net} would reach replicas' ports") as told:
        entries(seen(*addresses))
    assert "by hand, with private_net" in told.value.todo


def test_of_one_host_with_only_a_public_address_nobody_else_reaches_replicas() -> None:
    assert entries(seen("203.0.113.5/24"))[1] == IPv4Network("203.0.113.5/32")
    assert entries(seen("10.0.0.5/24"))[1] == IPv4Network("10.0.0.0/24")


@pytest.mark.parametrize(
    ("listens", "begun", "port"),
    [
        ((), False, None),
        ((Door(5000, "127.0.0.1"), Door(5001)), False, 5002),  # another fleet's registry, and what has all addresses
        ((Door(5000, "10.0.0.5"),), False, None),
        ((Door(5000, "127.0.0.1"),), True, None),  # it is this fleet's own
    ],
)
def test_the_registry_has_a_port_that_is_free_on_every_host(
    listens: tuple[Door, ...], begun: bool, port: int | None
) -> None:
    """What `init` wrote for hosts of another fleet was refused by the first `up`."""
    first, second = seen("10.0.0.5/24", "10.0.0.6/24")
    assert registry_port([first, replace(second, listens=listens, has_begun=begun)]) == port


def test_a_host_whose_private_address_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="not known: no answer"):
        entries([Seen(hosts_of(["web1"])[0], None, why="no answer")])


def test_a_host_that_was_not_reached_is_noted() -> None:
    at = IPv4Interface("10.0.0.11/24")
    lines, net = entries([Seen(hosts_of(["10.0.0.11"])[0], at, why="no answer"), Seen(hosts_of(["x"])[0], at, "26.1")])
    assert [bool(line.note) for line in lines] == [True, False]
    assert net == at.network


def test_nothing_is_written_when_one_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("old")
    with pytest.raises(UsageError, match="b is there already"):
        write(tmp_path, {"a": "new", "b": "new"}, force=False)
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty fleet.yaml stayed, and the next init refused to write over it."""
    (tmp_path / "b").write_text("old")
    write_text, full = Path.write_text, OSError(errno.ENOSPC, "No space left on device")

    def write_some(path: Path, text: str, **more: Any) -> int:
        write_text(path, text[:1], **more)
        if text == "second":
            raise full
        return 1

    monkeypatch.setattr(Path, "write_text", write_some)
    with pytest.raises(BayplanError, match=f"{tmp_path}: cannot be written: no space left on device"):
        write(tmp_path, {"a": "first", "b": "second"}, force=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("b", "old")]


def test_force_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("old")
    assert write(tmp_path, {"a": "new", "b": "new"}, force=True) == (tmp_path / "b.old",)
    assert [(tmp_path / n).read_text() for n in ("a", "b", "b.old")] == ["new", "new", "old"]
    for n in ("2", "3"):
        assert write(tmp_path, {"b": f"new {n}"}, force=True) == (tmp_path / f"b.old.{n}",)
    kept = ("b.old", "b.old.2", "b.old.3", "b")
    assert [(tmp_path / n).read_text() for n in kept] == ["old", "new", "new 2", "new 3"]
