"""What a Dockerfile tells, and files that load as they are written."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from bayplan.operate.starter import HostEntry, compose_text, exposed_port, fleet_text, label, public_port
from bayplan.spec import load_app, load_fleet
from bayplan.spec.model import Tls


@pytest.mark.parametrize(
    ("dockerfile", "port"),
    [
        ("FROM a\nEXPOSE 8080", 8080),
        ("FROM a\nexpose 53/udp 8080/tcp 9", 8080),
        ("FROM a AS b\nEXPOSE 1\nFROM c\nEXPOSE 2", 2),
        ("FROM a AS b\nEXPOSE 1\nFROM c", None),
        ("ARG P=80\nFROM a\nENV Q=81\nEXPOSE $Q", 81),
        ("FROM a\nENV PORT 3000\nEXPOSE ${PORT}", 3000),
        ("FROM a\nEXPOSE ${NONE:-7000}", 7000),
        ("FROM a\nEXPOSE $NONE", None),
        ("FROM a\nEXPOSE \\\n  # why\n  8443", 8443),
        ("FROM a\n# EXPOSE 1\nRUN echo EXPOSE 2", None),
        ("", None),
    ],
)
def test_the_port_is_the_last_stage_s_first(dockerfile: str, port: int | None) -> None:
    assert exposed_port(dockerfile) == port


@pytest.mark.parametrize(("target", "port"), [(8080, 80), (80, 80), (5432, 5432), (8443, 8443)])
def test_web_servers_are_reached_on_80(target: int, port: int) -> None:
    assert public_port(target) == port


@pytest.mark.parametrize(("text", "name"), [("My Shop!", "my-shop"), ("--", "app"), ("été", "t"), ("a" * 80, "a" * 63)])
def test_any_text_makes_a_name(text: str, name: str) -> None:
    assert label(text, "app") == name


def test_the_registry_s_port_is_written_where_it_is_not_the_usual_one(tmp_path: Path) -> None:
    hosts = [HostEntry("h1", "ssh://u@10.0.0.1", "10.0.0.1")]
    (tmp_path / "fleet.yaml").write_text(fleet_text("shop", IPv4Network("10.0.0.0/24"), hosts, "10.0.0.1", "", 5001))
    registry = load_fleet(tmp_path / "fleet.yaml", {}).registry
    assert registry
    assert (registry.host, registry.port) == ("h1", 5001)


def test_certificates_are_written_as_a_person_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    files = (str(tmp_path / "tls/ca.pem"), "/home/ann/.docker/cert.pem", "/etc/its, own/key.pem")
    tls = Tls(ca=files[0], cert=files[1], key=files[2])
    hosts = [HostEntry("h1", "tcp://10.0.0.1:2376", "10.0.0.1", "a note", tls), HostEntry("h2", "ssh://h2", "10.0.0.2")]
    text = fleet_text("shop", IPv4Network("10.0.0.0/24"), hosts, "10.0.0.1")
    assert 'tls: {ca: tls/ca.pem, cert: ~/.docker/cert.pem, key: "/etc/its, own/key.pem"}}    # a note\n' in text
    (tmp_path / "fleet.yaml").write_text(text)
    loaded = load_fleet(tmp_path / "fleet.yaml", {}).hosts
    assert (loaded["h1"].tls, loaded["h2"].tls) == (tls, None)


@pytest.mark.parametrize("target", [None, 8080, 5432])
@pytest.mark.parametrize("image", ["", "nginx:1"])
def test_what_is_written_loads(tmp_path: Path, target: int | None, image: str) -> None:
    hosts = [HostEntry("h1", "ssh://u@10.0.0.1", "10.0.0.1", "a note"), HostEntry("web", "ssh://web", "10.0.0.2")]
    (tmp_path / "fleet.yaml").write_text(fleet_text("shop", IPv4Network("10.0.0.0/24"), hosts, "203.0.113.9", "./c"))
    (tmp_path / "Dockerfile").write_text("FROM a")
    text = compose_text("shop", image=image, target=target, published=None, replicas=2)
    (tmp_path / "compose.yaml").write_text(text)
    fleet = load_fleet(tmp_path / "fleet.yaml", {})
    app = load_app([tmp_path / "compose.yaml"], project=None, environment={}, fleet=fleet)
    web = app.services["web"]
    assert (list(fleet.hosts), fleet.balancer.address) == (["h1", "web"], "203.0.113.9")
    assert fleet.registry
    assert fleet.registry.host == "h1"
    assert [p.target for p in web.ports] == ([target] if target else [])
    assert (web.image, web.build is None, web.replicas) == (image, bool(image), 2)
