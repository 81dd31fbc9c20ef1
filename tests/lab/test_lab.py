"""The lab itself: hosts are real and apart, faults are faults, and nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from bayplan import lab as labs
from bayplan.errors import LabError, UsageError
from bayplan.lab import Lab, cgroups, network
from bayplan.lab.layout import RUN
from bayplan.lab.process import wait_for
from bayplan.lab.running import recorded

HOSTS = ("h1", "h2", "h3")
_LAB = re.compile(r"bayplan-lab/([^/\n]+)")  # in a process's control groups


def ssh(lab: Lab, host: str, command: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", str(lab.ssh_config), "-o", "ConnectTimeout=2", "-o", "BatchMode=yes", host, command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


def connects(lab: Lab, address: str, port: int = 22) -> bool:
    """Whether a client outside the private network gets a connection."""
    probe = ["timeout", "2", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]
    return lab.outside(probe).returncode == 0


def test_status_tells_of_every_host(lab: Lab) -> None:
    found = labs.status(lab.name)
    assert [(h.host, h.zone, h.state) for h in found.hosts] == [("h1", "a", "up"), ("h2", "b", "up"), ("h3", "c", "up")]
    assert all(h.engine.startswith("20.10") for h in found.hosts)
    assert found.mirror


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_lets_its_user_in_by_key_and_to_the_engine(lab: Lab, host: str) -> None:
    told = ssh(lab, host, "hostname && docker ps -q && id -un && docker info -f '{{.Name}} {{.Driver}}'")
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == [host, "deploy", host, "overlay2"]


def test_a_host_refuses_another_key_and_any_password(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    argv = ["ssh", "-F", "none", "-i", tmp_path / "other", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    argv += ["-o", f"UserKnownHostsFile={lab.directory / 'known_hosts'}", f"deploy@{lab.hosts[0].private_ip}", "true"]
    refused = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_engines_are_apart(lab: Lab) -> None:
    identities = {lab.on(host, ["docker", "info", "-f", "{{.ID}}"]).stdout for host in HOSTS}
    assert len(identities) == len(HOSTS)
    lab.on("h1", ["docker", "volume", "create", "only-here"])
    assert "only-here" in lab.on("h1", ["docker", "volume", "ls"]).stdout
    assert "only-here" not in lab.on("h2", ["docker", "volume", "ls"]).stdout
    lab.on("h1", ["docker", "volume", "rm", "only-here"])


def test_engine_limits_are_real(lab: Lab) -> None:
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    told = lab.on("h1", ["docker", "run", "--rm", "-m", "64m", "debian:bookworm-slim", "sh", "-c", limit])
    assert told.stdout.strip() == str(64 << 20), told.stderr


@pytest.mark.parametrize("image", ["haproxy:3.0", "registry:2"])
def test_mirror_serves_images_that_look_like_the_official_ones(lab: Lab, image: str) -> None:
    shape = "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Config.User}}"
    told = lab.on("h1", ["sh", "-c", f"docker pull -q {image} && docker inspect -f '{shape}' {image}"])
    expected = {
        "haproxy:3.0": '["docker-entrypoint.sh"] ["haproxy","-f","/usr/local/etc/haproxy/haproxy.cfg"] haproxy',
        "registry:2": '["/entrypoint.sh"] ["/etc/docker/registry/config.yml"] ',
    }[image]
    assert told.stdout.splitlines()[-1].strip() == expected.strip(), told.stderr
    version = {"haproxy:3.0": ["haproxy", "-v"], "registry:2": ["registry", "--version"]}[image]
    assert lab.on("h1", ["docker", "run", "--rm", image, *version]).returncode == 0


def test_images_build_with_and_without_the_world(lab: Lab) -> None:
    installs = r"FROM debian:bookworm-slim\nRUN apt-get update && apt-get install -y --no-install-recommends tini\n"
    build = "d=$(mktemp -d); printf '{}' > $d/Dockerfile; echo here > $d/page; docker build -q $d"
    online = lab.on("h2", ["sh", "-c", build.format(installs)], deadline=120)
    assert online.returncode == 0, online.stderr
    rule = ["FORWARD", "-o", "uplink", "-j", "REJECT"]
    router = lab.layout.netns("router")
    subprocess.run(network.inside(router, ["iptables", "-w", "-I", *rule]), check=True)
    try:
        offline = lab.on("h3", ["sh", "-c", build.format(r"FROM debian:bookworm-slim\nCOPY page /\n")], deadline=60)
    finally:
        subprocess.run(network.inside(router, ["iptables", "-w", "-D", *rule]), check=True)
    assert offline.returncode == 0, offline.stderr
    lab.on("h2", ["docker", "rmi", "-f", online.stdout.strip()])
    lab.on("h3", ["docker", "rmi", "-f", offline.stdout.strip()])


def test_outside_reaches_public_addresses_only(lab: Lab) -> None:
    assert all(connects(lab, host.public_ip) for host in lab.hosts)
    assert not any(connects(lab, host.private_ip) for host in lab.hosts)


def test_a_cut_host_does_not_answer_until_it_is_healed(lab: Lab) -> None:
    lab.fault("cut", "h2")
    try:
        assert ssh(lab, "h2", "true").returncode == 255
        assert not connects(lab, lab.host("h2").public_ip)
        assert ssh(lab, "h1", "true").returncode == 0
        assert lab.status().hosts[1].state == "cut"
        assert lab.on("h2", ["docker", "ps"]).returncode == 0
    finally:
        lab.fault("heal", "h2")
    wait_for(lambda: ssh(lab, "h2", "docker ps").returncode == 0, "h2 is healed", deadline=15)


def test_a_killed_engine_leaves_its_containers_running(lab: Lab) -> None:
    run = ["docker", "run", "-d", "--stop-signal=KILL", "--name=survivor", "debian:bookworm-slim", "sleep", "600"]
    assert lab.on("h3", run).returncode == 0
    lab.fault("kill-engine", "h3")
    try:
        assert ssh(lab, "h3", "docker ps").returncode == 1
        assert "sleep 600" in ssh(lab, "h3", "ps ax").stdout
        assert lab.status().hosts[2].state == "no engine"
    finally:
        lab.fault("start-engine", "h3")
    assert ssh(lab, "h3", "docker ps -aq").stdout
    lab.on("h3", ["docker", "rm", "-f", "survivor"])


def test_a_slow_host_is_slow(lab: Lab) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert len(ssh(lab, "h2", "head -c 250000 /dev/zero").stdout) == 250_000
        return time.monotonic() - began

    lab.fault("slow", "h2")
    try:
        assert seconds() > 1.5  # 250 kB are two megabits, and it carries one a second
    finally:
        lab.fault("heal", "h2")
    assert seconds() < 1.5


def test_a_fault_of_no_host_is_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="no host 'h9'"):
        lab.fault("cut", "h9")


def test_up_again_changes_nothing_and_enlarges_and_mends(make_lab) -> None:
    first = make_lab(hosts=1)
    init = cgroups.init_process(first.hosts[0].group)
    again = labs.up(first.name, hosts=2, directory=first.directory)
    assert cgroups.init_process(first.hosts[0].group) == init
    assert [h.state for h in again.status().hosts] == ["up", "up"]
    assert "h2:" in again.fleet_file.read_text()
    again.fault("kill-engine", "h1")
    keep = ["docker", "run", "-d", "--restart=always", "--name=stays", "debian:bookworm-slim", "sleep", "600"]
    assert again.on("h2", keep).returncode == 0
    kill_all(again)
    mended = labs.up(first.name, hosts=1)
    assert [h.state for h in mended.status().hosts] == ["up", "up"]
    # A host comes back as a real one does after a power cut: with its disk.
    running = ["docker", "ps", "--filter", "name=stays", "-q"]
    wait_for(lambda: mended.on("h2", running).stdout, "the container runs again", deadline=15)


def test_two_labs_side_by_side_are_apart(lab: Lab, make_lab) -> None:
    other = make_lab(hosts=1, engine="debian13")
    assert other.private_net != lab.private_net
    assert other.status().hosts[0].engine.startswith("26.1")
    assert ssh(other, "h1", "docker info -f '{{.Driver}}'").stdout == "overlay2\n"
    crossing = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{other.hosts[0].private_ip}/22'"
    assert lab.on("h1", ["sh", "-c", crossing]).returncode != 0
    labs.down(other.name)
    assert ssh(lab, "h1", "docker ps").returncode == 0
    assert lab.on("h1", ["sh", "-c", "timeout 5 bash -c 'exec 3<>/dev/tcp/deb.debian.org/80'"]).returncode == 0


@pytest.mark.parametrize("crash", ["no crash", "everything killed", "killed while it was made"])
def test_down_leaves_nothing_behind(make_lab, crash: str) -> None:
    made = make_lab(hosts=1)
    make = "docker run -d --name one -p 20080:80 debian:bookworm-slim sleep 600; docker pause one"
    assert made.on("h1", ["sh", "-c", make]).stdout.endswith("one\n")
    namespaces = _namespaces(made)
    assert len(namespaces) >= 8
    if crash != "no crash":
        kill_all(made)
    if crash == "killed while it was made":
        made.save(ready=False)
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert labs.down(made.name)
    assert _traces(made) == []
    wait_for(lambda: not namespaces & _all_namespaces(began, made.name), "the namespaces are gone", deadline=10)
    assert not labs.down(made.name)


def test_two_ups_at_once_make_one_lab(tmp_path: Path) -> None:
    name = f"t{os.getpid()}-race"
    try:
        with ThreadPoolExecutor() as pool:
            ups = [pool.submit(labs.up, name, 1, "debian12", tmp_path) for _ in range(2)]
        assert ups[0].result() == ups[1].result()
        assert [h.state for h in labs.status(name).hosts] == ["up"]
    finally:
        labs.down(name)


def test_an_up_that_was_killed_is_made_again(make_lab, tmp_path: Path) -> None:
    whole = make_lab(hosts=1)
    name = f"t{os.getpid()}-killed"
    argv = [sys.executable, "-m", "bayplan.cli.lab", "up", "--hosts", "2", "--name", name]
    half = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: cgroups.processes(f"bayplan-lab/{name}"), "the first host boots", deadline=60)
        half.kill()
        half.wait()
        with pytest.raises(LabError, match="is not up"):
            labs.find(name)
        made = labs.up(name, hosts=2, directory=tmp_path / "again")
        assert [h.state for h in made.status().hosts] == ["up", "up"]
        assert ssh(made, "h2", "docker ps").returncode == 0
    finally:
        labs.down(name)
    assert whole.status().hosts[0].state == "up"


def test_the_command_line(tmp_path: Path) -> None:
    name = f"t{os.getpid()}-cli"

    def bayplan(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "bayplan.cli.lab", *words, "--name", name]
        return subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert bayplan("status").returncode == 1
    made = bayplan("up", "--hosts", "1")
    try:
        assert made.returncode == 0, made.stderr
        fleet = tmp_path / f".bayplan/labs/{name}/fleet.yaml"
        assert f"BAYPLAN_FLEET={fleet}" in made.stdout
        assert "kind: haproxy" in fleet.read_text()
        assert json.loads(bayplan("status", "--json").stdout)["hosts"][0]["state"] == "up"
        assert bayplan("fault", "cut", "h1").returncode == 0
        assert json.loads(bayplan("status", "--json").stdout)["hosts"][0]["state"] == "cut"
    finally:
        gone = bayplan("down")
    assert gone.returncode == 0
    assert list(tmp_path.iterdir()) == []


def kill_all(lab: Lab) -> None:
    """As kill -9 of everything at once does."""
    group = f"bayplan-lab/{lab.name}"
    for knob in Path("/sys/fs/cgroup").glob(f"freezer/{group}/**/freezer.state"):
        knob.write_text("THAWED")
    for pid in cgroups.processes(group):
        with suppress(ProcessLookupError):  # a host's processes end with its first
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not cgroups.processes(group), "everything is dead", deadline=10)


def _namespaces(lab: Lab) -> set[str]:
    """Every namespace of the lab, by kind and number."""
    pids = cgroups.processes(f"bayplan-lab/{lab.name}")
    ours = {str(path.readlink()) for path in Path("/proc/self/ns").iterdir()}
    links = {str(path.readlink()) for pid in pids for path in Path(f"/proc/{pid}/ns").iterdir()}
    return {link for link in links if not link.startswith(("user", "time"))} - ours


def _all_namespaces(before: float, lab: str) -> set[str]:
    """Of processes that began before, in seconds since boot, and are none of another lab's: a number that is free is
    given to somebody's next one, and who began before may have made that one since.
    """
    found: set[str] = set()
    for process in (p for p in Path("/proc").iterdir() if p.name.isdigit()):
        with suppress(OSError):  # it has ended meanwhile
            began = int((process / "stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
            if began <= before and set(_LAB.findall((process / "cgroup").read_text())) <= {lab}:
                found |= {str(path.readlink()) for path in (process / "ns").iterdir()}
    return found


def _traces(lab: Lab) -> list[str]:
    """What on this machine still tells of the lab; the unreachable routes stay on purpose."""
    layout = lab.layout
    commands = (["ip", "netns"], ["ip", "link"], ["iptables-save"], ["cat", "/proc/self/mountinfo"], ["ps", "axww"])
    told = [line for argv in commands for line in subprocess.check_output(argv, text=True).splitlines()]
    routes = [r for r in subprocess.check_output(["ip", "route"], text=True).splitlines() if r[:11] != "unreachable"]
    marks, nets = [layout.netns(""), f"bayplan-lab/{lab.name}", layout.comment], []
    if all(other.index != lab.index for other in _others(lab)):  # else what is named by the number may be that one's
        marks += [layout.operator_link, layout.up_link]
        nets = [layout.private_net, layout.public_net, layout.uplink[0]]
    found = [line for line in told if any(mark in line for mark in marks)]
    found += [line for line in routes if any(net in line for net in nets)]
    places = [layout.state, layout.data, lab.fleet_file, *Path("/sys/fs/cgroup").glob(f"**/bayplan-lab/{lab.name}")]
    return found + [str(place) for place in places if place.exists()]


def _others(lab: Lab) -> list[Lab]:
    """Labs that are up or are being made: recorded before anything of them is there."""
    known = (recorded(RUN / name)[0] for name in labs.names() if name != lab.name)
    return [other for other in known if other]
