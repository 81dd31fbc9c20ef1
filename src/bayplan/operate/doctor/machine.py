"""This machine: the programs that bayplan runs."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version

from bayplan.operate.doctor.finding import Finding
from bayplan.spec.model import Fleet

HERE = "this machine"
_OLDEST_SSH = (6, 7)  # the first that forwards UNIX sockets (release notes of OpenSSH 6.7)
_SSH = re.compile(r"OpenSSH_(\d+)\.(\d+)\S*")
_QUICK = 5.0  # seconds


def machine_findings(fleet: Fleet | None) -> tuple[Finding, ...]:
    """bayplan itself, the SSH client, the docker command. fleet None: its file could not be read."""
    return tuple(_look(fleet))


def _look(fleet: Fleet | None) -> Iterator[Finding]:
    told = f"bayplan {version('bayplan')}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    yield Finding("ok", "bayplan", HERE, told)
    if fleet is None or any(h.address.startswith("ssh://") for h in fleet.hosts.values()):
        yield ssh_finding(_said(["ssh", "-V"]))
    there = shutil.which("docker")
    yield Finding("ok", "docker", HERE, f"docker is {there}" if there else "no docker command here, and none is needed")


def ssh_finding(said: str | None) -> Finding:
    """From what `ssh -V` says; None: there is no ssh."""
    if said is None:
        todo = "install it: sudo apt-get install openssh-client"
        return Finding("fail", "ssh", HERE, "there is no ssh command, by which hosts are reached", todo)
    match = _SSH.search(said)
    if match is None:
        todo = "install OpenSSH, if hosts cannot be reached"
        return Finding("warn", "ssh", HERE, f"the ssh command is not OpenSSH: {said.strip()[:80]}", todo)
    if (int(match[1]), int(match[2])) < _OLDEST_SSH:
        return Finding("fail", "ssh", HERE, f"{match[0]} cannot forward an engine's socket", "install 6.7 or newer")
    return Finding("ok", "ssh", HERE, match[0].replace("_", " "))


def _said(argv: list[str]) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_QUICK, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr
