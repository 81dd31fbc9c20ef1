"""One host: booting it, its engine, its sshd, and running commands on it as a person at its console would."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from bayplan.lab import cgroups, network, store
from bayplan.lab.layout import Layout, Member
from bayplan.lab.process import run, spawn, succeeds, wait_for
from bayplan.lab.recipes import DEPLOY_UID, HOSTS, PATH, EngineKind

_BOOT = Path(__file__).with_name("boot.sh")
_CLEAN = (
    "env",
    "-i",
    PATH,
    "HOME=/root",
    "LANG=C.UTF-8",
)


def boot(lab: Layout, member: Member, engine: EngineKind) -> int:
    """Start the host's namespaces and its init; its process id here. What the host wrote before a crash is kept."""
    cgroups.destroy(member.group)
    network.plug_in(lab, member)
    member.data.mkdir(parents=True, exist_ok=True)
    cgroups.create(member.group)
    namespaces = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    init = ["sh", str(_BOOT), str(store.directory(HOSTS[engine])), str(member.data), member.name]
    log = lab.state / f"{member.name}.log"
    spawn(cgroups.beginning(member.group, [*_CLEAN, *network.inside(member.netns, [*namespaces, *init])]), log)
    return wait_for(lambda: _booted(member), f"{member.name} boots", deadline=20, log=log)


def _booted(member: Member) -> int | None:
    pid = cgroups.init_process(member.group)
    return pid if pid and Path(f"/proc/{pid}/root/run/booted").exists() else None


def root(member: Member) -> Path | None:
    """The host's file system as seen from here; None when the host is off."""
    pid = cgroups.init_process(member.group)
    return Path(f"/proc/{pid}/root") if pid else None


def on_console(member: Member, argv: Sequence[str]) -> list[str]:
    """The command that runs argv on the host as root. Empty when the host is off."""
    pid = cgroups.init_process(member.group)
    if pid is None:
        return []
    # The network namespace is the host's own, as are the others; the cgroup has to be joined by hand.
    enter = ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "-C", "--", *_CLEAN, *argv]
    return cgroups.joining(member.group, enter)


def furnish(lab: Layout, member: Member, place: Path, host_key: Path, login: Path) -> None:
    """What a cloud's first boot writes: names, resolver, keys, and the engine's mirror of Docker Hub."""
    etc = place / "etc"
    (etc / "hostname").write_text(f"{member.name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{member.private_ip} {member.name}\n")
    (etc / "resolv.conf").write_text(_resolver())
    (etc / "docker").mkdir(exist_ok=True)
    daemon = etc / "docker/daemon.json"
    if not daemon.exists():
        mirrors = {"registry-mirrors": [lab.mirror]}
        daemon.write_text(json.dumps(mirrors, indent=2) + "\n")
    for suffix in ("", ".pub"):
        target = etc / f"ssh/ssh_host_ed25519_key{suffix}"
        target.write_text(Path(f"{host_key}{suffix}").read_text())
        target.chmod(0o600 if not suffix else 0o644)
    keys = place / "home/deploy/.ssh/authorized_keys"
    keys.write_text(login.with_suffix(".pub").read_text())
    keys.chmod(0o600)
    _own(keys)


def _own(path: Path) -> None:
    os.chown(path, DEPLOY_UID, DEPLOY_UID)


def _resolver() -> str:
    """This machine's name servers; a stub on its loopback is replaced with what stands behind it."""
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        if path.exists() and "nameserver 127." not in path.read_text():
            return path.read_text()
    return "nameserver 9.9.9.9\nnameserver 1.1.1.1\n"


def start_sshd(member: Member) -> None:
    if not _listens(member):
        run(on_console(member, ["/usr/sbin/sshd"]))
        wait_for(lambda: _listens(member), f"sshd on {member.name} answers", deadline=15)


def start_engine(member: Member) -> None:
    """Start dockerd as its package's unit does, and wait for it. Raises LabError with the end of its log."""
    if engine_version(member) is not None:
        return
    place = root(member)
    run(on_console(member, ["sh", "-c", "rm -f /run/docker.pid; dockerd </dev/null >>/var/log/dockerd.log 2>&1 &"]))
    log = place / "var/log/dockerd.log" if place else None
    wait_for(lambda: engine_version(member), f"the engine of {member.name} answers", deadline=60, log=log)


def engine_version(member: Member) -> str | None:
    """The engine's version, None when it does not answer."""
    place = root(member)
    if place is None:
        return None
    try:
        return str(json.loads(_ask(str(place / "run/docker.sock"), "/version"))["Version"])
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return None


def _ask(path: str, target: str) -> bytes:
    connection = http.client.HTTPConnection("engine", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(5)
    try:
        connection.sock.connect(path)
        connection.request("GET", target)
        return connection.getresponse().read()
    finally:
        connection.close()


def _listens(member: Member) -> bool:
    """Whether sshd answers on the host's own loopback (the host's link may be cut)."""
    probe = on_console(member, ["sh", "-c", "ss -Hltn 'sport = :22' | grep -q ."])
    return bool(probe) and succeeds(probe)
