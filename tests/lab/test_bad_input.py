"""What bad input gets: a clear message, a status that is not 0, and nothing changed while the site goes on.

Mistakes of the files themselves (keys, types, variables, YAML, a port listed twice) are in tests/cases/spec.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.site import DOCKERFILE, PATIENCE, SERVER, Site, held, on

from bayplan.lab import Lab
from bayplan.lab.process import run, wait_for

pytestmark = pytest.mark.shares_lab

NOBODY = 9  # the discard port, where nobody listens


@pytest.fixture
def elsewhere(site: Site, tmp_path: Path) -> Iterator[Path]:
    """The fleet's files in a folder of their own, to be spoilt; the site is told to use them."""
    for name in ("fleet.yaml", "ssh_config", "known_hosts", "id_ed25519"):
        shutil.copy(site.lab.directory / name, tmp_path / name)
    config = tmp_path / "ssh_config"
    config.write_text(config.read_text().replace(str(site.lab.directory), str(tmp_path)))
    site.fleet = tmp_path / "fleet.yaml"
    yield tmp_path
    site.fleet = site.lab.fleet_file


# -- images -----------------------------------------------------------------------------------------------------------


def test_an_image_that_does_not_exist(site: Site) -> None:
    before = site.stands()
    site.write(build=None, image="debian:no-such-tag")
    said = site.bayplan("up", status=1)
    assert "service web" in said
    assert "debian:no-such-tag" in said
    assert site.stands() == before
    assert site.ask().endswith("one")


def test_a_dockerfile_that_fails_shows_what_it_said(site: Site, tmp_path: Path) -> None:
    before = site.stands()
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo no teeth left >&2; exit 7\n")
    site.write(build=str(tmp_path))
    said = site.bayplan("up", status=1)
    report = said[said.index("✗") :]
    assert "service web" in report
    assert "no teeth left" in report
    assert "7" in report
    assert site.stands() == before
    assert site.ask().endswith("one")


def test_a_registry_that_is_down_and_not_ours(site: Site, elsewhere: Path) -> None:
    before = site.stands()
    address = f"127.0.0.1:{NOBODY}/shop"
    site.fleet.write_text(re.sub(r"registry: .*", f"registry: {{address: '{address}'}}", site.fleet.read_text()))
    site.write(environment={"VERSION": "two"})
    said = site.bayplan("up", status=1)
    assert address.partition("/")[0] in said
    assert "registry" in said.lower()
    assert site.stands() == before
    assert elsewhere in site.fleet.parents


def test_a_registry_of_ours_that_was_stopped_is_started_again(site: Site) -> None:
    on(site.lab, "h1", "docker", "stop", "-t", "1", f"bayplan-registry-{site.lab.name}")
    assert "web" in site.bayplan("ps")  # what runs is known without it
    site.write(environment={"VERSION": "two"})
    with site.load() as load:
        assert "started registry" in site.bayplan("up")
    assert load.was_answered()
    assert site.ask().endswith("two")


# -- hosts ------------------------------------------------------------------------------------------------------------


def test_a_host_key_that_changed(site: Site, elsewhere: Path) -> None:
    before = site.stands()
    known = elsewhere / "known_hosts"
    others = [line for line in known.read_text().splitlines() if not line.startswith("h2,")]
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(elsewhere / "strange")])
    strange = " ".join((elsewhere / "strange.pub").read_text().split()[:2])
    known.write_text("\n".join([*others, f"h2,{site.lab.host('h2').private_ip} {strange}", ""]))
    said = site.bayplan("up", status=3)
    assert "h2" in said
    assert "host key" in said
    assert f"{known}" in said
    assert "ssh-keygen" in said  # what to do about it
    assert "h2 does not let us in" in said
    assert "--assume-down" not in said  # it is there
    assert site.stands() == before


def test_a_second_fleet_on_the_same_hosts_is_to_have_another_port_for_its_registry(site: Site, elsewhere: Path) -> None:
    before, ours = site.stands(), site.lab.name
    fleet = elsewhere / "fleet.yaml"
    fleet.write_text(re.sub(r"^name: .*$", "name: beside", fleet.read_text(), flags=re.MULTILINE))
    said = site.bayplan("up", status=1)
    assert f"taken (by bayplan-gateway-{ours} of the fleet {ours})" in said
    assert "registry: {host: h1, port: 5001}" in said
    for host in site.lab.hosts:
        there = on(site.lab, host.name, "docker", "ps", "-a", "--format", "{{.Names}}").split()
        assert not {"bayplan-gateway-beside", "bayplan-guard-beside", "bayplan-registry-beside"} & {*there}
    assert site.stands() == before


def test_a_wrong_ssh_key(site: Site, elsewhere: Path) -> None:
    before = site.stands()
    (elsewhere / "id_ed25519").unlink()
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(elsewhere / "id_ed25519")])
    said = site.bayplan("up", status=4)
    for host in site.lab.hosts:
        assert re.search(rf"{host.name}: .*{host.private_ip} is refused.*Permission denied", said), said
    assert "ssh-copy-id" in said
    assert site.stands() == before


def test_a_full_fleet_says_what_does_not_fit_on_each_host_and_why(site: Site) -> None:
    before = site.stands()
    site.write(deploy={"replicas": 3, "resources": {"reservations": {"memory": "900G", "cpus": "0.1"}}})
    said = site.bayplan("up", status=3)
    assert re.search(r"no host can take \d of web", said)
    for host in site.lab.hosts:
        assert re.search(rf"{host.name} +900(\.0)? ?G\S* of memory wanted, .* free", said), said
    assert site.stands() == before
    assert site.ask().endswith("one")


def test_a_host_without_room_for_the_image_is_passed_over_and_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "web.pl").write_text(SERVER)
    (tmp_path / "big").write_bytes(os.urandom(300_000))
    (tmp_path / "Dockerfile").write_text(f"{DOCKERFILE}COPY big /big\n")
    site.write(build=str(tmp_path), environment={"VERSION": "big"})
    on(site.lab, "h2", "mount", "-t", "tmpfs", "-o", "size=16k", "none", "/var/lib/docker/tmp")
    try:
        with site.load() as load:
            said = site.bayplan("up", status=3)
        assert load.was_answered()
    finally:
        on(site.lab, "h2", "umount", "/var/lib/docker/tmp")
    report = said[said.index("✗") :]
    assert re.search(r"h2: \S+ cannot be pulled: .*no space left on device", report)
    assert "make room on h2" in report
    assert "web 3/3 ready" in report
    assert set(site.hosts()) == {"h1", "h3"}
    assert site.ask().endswith("big")
    site.bayplan("up")


# -- replicas ---------------------------------------------------------------------------------------------------------


def test_a_replica_that_exits_at_once_shows_its_last_lines_and_the_old_serve_on(site: Site) -> None:
    before = site.taking()
    last_words = 'print "reading the settings\\n"; print STDERR "no database: giving up\\n"; exit 3'
    site.write(command=["perl", "-e", last_words], environment={"VERSION": "two"})
    with site.load() as load:
        said = site.bayplan("up", status=1)
    assert load.was_answered()
    assert load.versions() == {"one"}
    assert "reading the settings" in said
    assert "no database: giving up" in said
    assert "status 3" in said
    assert site.taking() == before
    assert site.states().keys() <= {"running", "exited"}  # no crash loop is left behind
    assert site.states()["running"] == 3
    site.write()
    site.bayplan("up")
    assert site.states() == {"running": 3}


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        pytest.param({"command": ["sleep", "infinity"]}, "GET / on port 80 is not answered", id="never listens"),
        pytest.param({"healthcheck": {"test": ["CMD", "false"]}}, "health check has not passed", id="never healthy"),
    ],
)
def test_a_replica_that_never_becomes_ready_takes_no_traffic(site: Site, broken: dict[str, object], why: str) -> None:
    before = site.taking()
    check = {"test": ["CMD", "true"], "interval": "200ms", "timeout": "500ms", "retries": 1}
    check |= broken.pop("healthcheck", {})  # type: ignore[arg-type]
    site.write(**broken, healthcheck=check, environment={"VERSION": "two"}, init=True)
    with site.load() as load:
        said = site.bayplan("up", status=1)
    assert load.was_answered()
    assert load.versions() == {"one"}
    assert why in said
    assert "what served before serves on" in said
    assert site.taking() == before
    assert site.states()["running"] == 3
    site.write()
    site.bayplan("up")
    assert site.taking() == before


def test_a_replica_that_becomes_ready_late_is_waited_for(site: Site) -> None:
    site.write(environment={"VERSION": "two", "LATE": "2"})
    with site.load() as load:
        site.bayplan("up")
    assert load.was_answered()
    assert load.versions() == {"one", "two"}
    assert site.states() == {"running": 3}


# -- ports ------------------------------------------------------------------------------------------------------------


def test_a_listener_port_that_something_else_holds(site: Site) -> None:
    before, port = site.stands(), site.port + 1000
    site.write(port=port)
    with held(site.lab, "h1", port), site.load() as load:
        said = site.bayplan("up", status=1)
    assert load.was_answered()
    assert "h1" in said
    assert str(port) in said
    assert site.stands() == before
    site.write()
    assert site.nothing_is_left_to_do()


def test_a_new_app_whose_listener_port_is_held_starts_nothing(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, tmp_path, "late-comer")
    site.write()
    try:
        with held(lab, "h1", site.port):
            said = site.bayplan("up", status=1)
        assert re.search(rf"h1.*{site.port}", said)
        assert site.states()["running"] == 0
        site.bayplan("up")  # once it is free
        assert site.answers_from(3)
    finally:
        site.bayplan("down")


def test_what_is_not_ours_on_a_port_of_our_range_gets_another_port_taken(lab: Lab, tmp_path: Path) -> None:
    site = Site(lab, tmp_path, "neighbour")
    quiet = {"ports": None, "x-bayplan": None, "environment": {"PORT": "90"}}
    site.write(**quiet)
    site.bayplan("up")  # without a listener it takes no port of the range, and the hosts have its image
    h2, h3 = lab.host("h2").private_ip, lab.host("h3").private_ip
    [(name, _)] = [(n, h) for n, (h, _, _) in site.containers().items() if h == "h2"]
    image = on(lab, "h2", "docker", "inspect", "-f", "{{.Config.Image}}", name.partition(" ")[0])
    published = ["-p", f"{h2}:20090:90", "-p", f"{h2}:20091:90"]
    on(lab, "h2", "docker", "run", "-d", "--name", "foreign", *published, image)
    try:
        with held(lab, "h3", 20090):
            site.write(environment={"PORT": "90"}, ports=[{"target": 90, "published": site.port}])
            site.bayplan("up")
            ports = set(site.taking().values())
        assert f"{h2}:20092" in ports
        assert f"{h3}:20091" in ports
        assert on(lab, "h2", "docker", "inspect", "-f", "{{.State.Running}}", "foreign") == "true"
    finally:
        on(lab, "h2", "docker", "rm", "-f", "foreign")
        site.bayplan("down")


# -- what somebody did by hand ----------------------------------------------------------------------------------------


def test_containers_that_were_removed_or_stopped_by_hand_are_repaired(site: Site) -> None:
    gone, stopped, kept = site.names()
    where = {name.partition(" ")[0]: host for name, (host, _, _) in site.containers().items()}
    on(site.lab, where[gone], "docker", "rm", "-f", gone)
    on(site.lab, where[stopped], "docker", "stop", "-t", "0", stopped)
    same = site.containers()[f"{kept} on {where[kept]}"]
    wait_for(site.ask, "what is left answers", deadline=PATIENCE)
    site.write()
    said = site.bayplan("up")
    assert site.slots() == [1, 2, 3]
    assert site.states() == {"running": 3}
    assert site.containers()[f"{kept} on {where[kept]}"] == same
    assert "started" in said
    assert site.answers_from(3)
    assert site.nothing_is_left_to_do()
