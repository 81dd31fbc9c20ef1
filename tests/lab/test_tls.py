"""A host of which only the engine is reached, over TLS: balancer, registry and replicas on it, as on any other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import authority
from tests.conftest import MakeLab
from tests.lab.site import BAYPLAN, PATIENCE, Site, asked, on

from bayplan import lab as labs
from bayplan.lab import Lab
from bayplan.lab.process import wait_for
from bayplan.spec import load_fleet

TLS_HOST = "h2"


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """h1 over SSH; h2, with the gateway that clients reach and the registry, over TLS."""
    made = make_lab(hosts=2)
    directory = tmp_path_factory.mktemp("tls")
    _listen_for_tls(made, directory)
    h1, h2 = (host.private_ip for host in made.hosts)
    tls = f"tls: {{ca: {directory}/ca.pem, cert: {directory}/operator.pem, key: {directory}/operator.key}}"
    told = made.fleet_file.read_text().replace(f"ssh://deploy@{h2},", f"tcp://{h2}:2376, {tls},")
    told = told.replace(f"hosts: [h1], address: {h1}", f"hosts: [h2], address: {h2}")
    made.fleet_file.write_text(told.replace("registry: {host: h1}", "registry: {host: h2}"))
    yield made
    labs.down(made.name)


def _listen_for_tls(lab: Lab, directory: Path) -> None:
    """As Docker's documentation tells people to set it up: the engine takes its settings as it starts."""
    ip, etc = lab.host(TLS_HOST).private_ip, lab.root(TLS_HOST) / "etc/docker"
    signer = authority(directory)
    signer.signed("operator")
    for path in (signer.ca, *signer.signed(ip)):
        shutil.copy(path, etc)
    daemon = etc / "daemon.json"
    settings = json.loads(daemon.read_text()) if daemon.exists() else {}
    files = {"tlscacert": "ca.pem", "tlscert": f"{ip}.pem", "tlskey": f"{ip}.key"}
    settings |= {"tlsverify": True, **{key: f"/etc/docker/{name}" for key, name in files.items()}}
    settings["hosts"] = ["unix:///var/run/docker.sock", f"tcp://{ip}:2376"]
    daemon.write_text(json.dumps(settings))
    lab.fault("kill-engine", TLS_HOST)
    lab.fault("start-engine", TLS_HOST)


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(lab, tmp_path_factory.mktemp("site"), "tls")
    site.address = lab.host(TLS_HOST).private_ip
    site.write(replicas=2)
    assert "bayplan up starts it" in site.bayplan("doctor")
    _is_refused_with_another_address(site)
    site.bayplan("up")
    yield site
    site.bayplan("down")
    assert site.containers() == {}


def _is_refused_with_another_address(site: Site) -> None:
    """Before anything is built: its guard, which is new, is asked."""
    right = site.fleet.read_text()
    ip = site.lab.host(TLS_HOST).private_ip
    site.fleet.write_text(right.replace(f"private_ip: {ip}", f"private_ip: {ip[:-1]}99"))
    for _ in range(2):
        said = site.bayplan("up", status=2)
        assert f"{ip[:-1]}99 is not an address of the host" in said
        assert f"the host has {ip}" in said
    site.fleet.write_text(right)


def guard(lab: Lab) -> tuple[str, int]:
    """Its id, and its process on the host."""
    seen = asked(lab, TLS_HOST, f"/containers/bayplan-guard-{lab.name}/json")
    return seen["Id"], seen["State"]["Pid"]


def test_init_writes_a_fleet_file_for_it(lab: Lab, tmp_path: Path) -> None:
    """With nothing on it yet that could tell more than its engine does."""
    tls = load_fleet(lab.fleet_file, {}).hosts[TLS_HOST].tls
    assert tls
    folder, ip = tmp_path / "tls", lab.host(TLS_HOST).private_ip
    folder.mkdir()
    for name, file in tls.model_dump().items():
        shutil.copy(file, folder / f"{name}.pem")
    typed = [*BAYPLAN, "init", "-y", "--name", "other", f"tcp://{ip}"]
    home = {**os.environ, "HOME": str(tmp_path)}
    refused = subprocess.run(typed, cwd=tmp_path, env=home, capture_output=True, text=True, check=False)
    assert (refused.returncode, "--tls FOLDER" in refused.stderr) == (2, True)
    subprocess.run([*typed, "--tls", "tls"], cwd=tmp_path, check=True, timeout=PATIENCE)
    assert "tls: {ca: tls/ca.pem, cert: tls/cert.pem, key: tls/key.pem}" in (tmp_path / "fleet.yaml").read_text()
    host = load_fleet(tmp_path / "fleet.yaml", {}).hosts["h1"]
    assert (host.address, host.private_ip) == (f"tcp://{ip}:2376", ip)


def test_it_serves_and_has_the_registry_and_nothing_is_left_to_do(site: Site) -> None:
    """`up` built the image on a host, pushed it to the registry there, and both hosts pulled it from their loopback."""
    assert site.hosts() == {"h1": 1, "h2": 1}
    assert site.answers_from(2)
    assert site.nothing_is_left_to_do()


def test_a_command_that_has_ended_or_was_killed_leaves_nothing_on_the_host(site: Site, lab: Lab) -> None:
    leaves = lambda: on(lab, TLS_HOST, "sh", "-c", "pgrep -fc '^perl -e' || true")  # noqa: E731
    running = site.start("up")
    wait_for(lambda: leaves() != "0", "the way is there", deadline=PATIENCE)
    running.kill()
    wait_for(lambda: leaves() == "0", "it is gone", deadline=PATIENCE)
    site.bayplan("ps")
    wait_for(lambda: leaves() == "0", "it is gone", deadline=PATIENCE)


def test_doctor_says_that_all_is_well_and_reads_what_the_host_tells(site: Site) -> None:
    found = site.json("doctor")["findings"]
    assert [f for f in found if f["level"] == "fail"] == []
    there = {f["check"]: f["level"] for f in found if f["where"] == TLS_HOST}
    assert {there[check] for check in ("reach", "disk", "memory", "private_ip", "gateway", "registry", "pull")} == {
        "ok"
    }


def test_another_release_without_an_error(site: Site) -> None:
    site.version = "two"
    site.write(replicas=2)
    with site.load() as load:
        site.bayplan("up")
    assert load.was_answered()
    assert "two" in site.ask()


def test_a_guard_that_is_killed_is_a_way_again(site: Site, lab: Lab) -> None:
    """Its engine starts it again; the next command goes by the new one."""
    made, process = guard(lab)
    on(lab, TLS_HOST, "kill", "-KILL", str(process))
    site.version = "three"
    site.write(replicas=2)
    site.bayplan("up")
    assert "three" in site.ask()
    assert guard(lab)[0] == made
    assert guard(lab)[1] != process
    on(lab, TLS_HOST, "docker", "rm", "-f", f"bayplan-guard-{lab.name}")
    assert "its guard" in site.bayplan("doctor", status=1)
    site.bayplan("up")
    assert site.nothing_is_left_to_do()
    assert guard(lab)[0] != made


def test_without_perl_it_refuses_and_says_what_to_do(site: Site, lab: Lab) -> None:
    perl = lab.root(TLS_HOST) / "usr/bin/perl"
    perl.rename(perl.with_name("perl.away"))
    try:
        said = site.bayplan("up", status=1)
        assert "has no perl" in said
        assert "perl-base" in said
    finally:
        perl.with_name("perl.away").rename(perl)
    site.bayplan("up")
