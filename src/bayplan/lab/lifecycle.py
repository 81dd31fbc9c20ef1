"""Bringing labs up and down. Facts are read from namespaces and control groups; a crash at any instant is mended."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bayplan.errors import LabError, UsageError
from bayplan.lab import cgroups, files, hub, machines, network, store
from bayplan.lab.layout import DATA, MOST_HOSTS, MOST_LABS, RUN, Layout, Member, Say, check_name
from bayplan.lab.process import alone, together
from bayplan.lab.recipes import EngineKind
from bayplan.lab.running import Lab, LabStatus, load, recorded

LOCK = Path("/run/lock/bayplan-lab")
_TOOLS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "ssh-keygen": "openssh-client",
    "mmdebstrap": "mmdebstrap",
}


def _quiet(stage: str, text: str, done: bool) -> None:
    """A Say that tells nobody."""


def up(
    name: str = "lab",
    hosts: int = 3,
    engine: EngineKind = "debian12",
    directory: Path | None = None,
    say: Say = _quiet,
) -> Lab:
    """Make the lab, or mend and enlarge one that is there.

    directory: where fleet.yaml and the SSH files go, .bayplan/labs/NAME by default. Raises LabError, UsageError.
    """
    check_name(name)
    _check_machine()
    if not 1 <= hosts <= MOST_HOSTS:
        raise UsageError(f"a lab of {hosts} hosts cannot be made", todo=f"ask for 1 to {MOST_HOSTS}")
    store.ensure(engine, say)
    with _alone():
        if not names():
            store.prune()
        wanted = _wanted(name, hosts, engine, directory)
        _bring_up(wanted, say)
    return wanted


def _wanted(name: str, hosts: int, engine: EngineKind, directory: Path | None) -> Lab:
    """What stands, with what was asked of it; or a new lab, once the remains of a crashed one are gone."""
    there = load(RUN / name)
    if there is not None:
        if there.engine != engine:
            raise LabError(f"lab '{name}' is up with {there.engine}", todo=f"bayplan lab down --name {name}")
        place = (directory or there.directory).absolute()
        files.check_place(place)
        return replace(there, count=max(hosts, there.count), directory=place)
    _sweep(name)
    place = (directory or Path(".bayplan/labs") / name).absolute()
    files.check_place(place)
    index = network.free_index(_indexes(), MOST_LABS)
    lab = Lab(name, index, engine, hosts, place)
    lab.save(ready=False)
    return lab


def _bring_up(lab: Lab, say: Say) -> None:
    layout = lab.layout
    lab.directory.mkdir(parents=True, exist_ok=True)
    say("network", f"{layout.private_net} private, {layout.public_net} public", False)
    network.guard(layout)
    if not network.is_plugged_in(layout.netns("switch")):
        network.make_switch(layout)
    say("network", f"{layout.private_net} private, {layout.public_net} public", True)
    login = files.make_key(lab.directory / "id_ed25519", f"bayplan-lab-{lab.name}")
    parts: list[Member | None] = [None, *lab.hosts]
    together(lambda part: _bring_up_host(lab, part, login, say) if part else hub.start(layout, say), parts)
    files.write(layout, lab.hosts, lab.directory)
    lab.save(ready=True)


def _bring_up_host(lab: Lab, member: Member, login: Path, say: Say) -> None:
    if machines.root(member) is None or not network.is_plugged_in(member.netns):
        say(member.name, "booting", False)
        machines.boot(lab.layout, member, lab.engine)
    place = machines.root(member)
    if place is None:
        raise LabError(f"{member.name} went off while it was started", todo="run `bayplan lab up` again")
    machines.furnish(lab.layout, member, place, files.host_key(lab.layout, member), login)
    say(member.name, "starting sshd and Docker", False)
    machines.start_sshd(member)
    machines.start_engine(member)
    version = (machines.engine_version(member) or "").split("+")[0]
    say(member.name, f"{member.private_ip}, zone {member.zone}, Docker {version}", True)


def find(name: str = "lab") -> Lab:
    """The lab of that name. Raises LabError when it is not up."""
    lab = load(RUN / check_name(name))
    if lab is None:
        raise LabError(f"lab '{name}' is not up", todo=f"bayplan lab up --name {name}")
    return lab


def names() -> list[str]:
    """Labs that are up, or whose remains are."""
    return sorted(path.name for path in RUN.iterdir() if path.is_dir()) if RUN.exists() else []


def status(name: str = "lab") -> LabStatus:
    """How the lab stands. Raises LabError when it is not up."""
    _check_machine()
    return find(name).status()


def down(name: str = "lab") -> bool:
    """Remove every trace of the lab, also of a crashed one; False if there was none.

    What stays on purpose: the cache, and the unreachable routes that keep the lab's traffic on this machine.
    """
    _check_machine()
    check_name(name)
    with _alone():
        there = name in names()
        _sweep(name)
    return there


def down_all() -> list[str]:
    """Remove every lab and their unreachable routes; the names of those that were."""
    _check_machine()
    gone = names()
    for name in gone:
        down(name)
    network.unguard()
    return gone


def _sweep(name: str) -> None:
    """Processes first: what they hold goes with them."""
    lab, _ = recorded(RUN / name)
    cgroups.destroy(f"bayplan-lab/{name}")
    network.remove(lab.layout if lab else Layout(name, MOST_LABS))
    if lab is not None:
        _remove_files(lab.directory)
    shutil.rmtree(DATA / name, ignore_errors=True)
    shutil.rmtree(RUN / name, ignore_errors=True)
    if not names():
        _leave()


def _leave() -> None:
    """The last lab turns off the light."""
    cgroups.destroy("bayplan-lab")
    network.release(RUN / "ip_forward")
    for empty in (RUN, DATA):
        with contextlib.suppress(OSError):
            empty.rmdir()


def _remove_files(directory: Path) -> None:
    for made in files.MADE:
        (directory / made).unlink(missing_ok=True)
    for empty in (directory, *(parent for parent in directory.parents if parent.name in {"labs", ".bayplan"})):
        with contextlib.suppress(OSError):
            empty.rmdir()


def _indexes() -> list[int]:
    return [lab.index for name in names() if (lab := recorded(RUN / name)[0]) is not None]


def _check_machine() -> None:
    """Raises LabError when this machine cannot hold a lab."""
    if sys.platform != "linux":
        raise LabError(f"a lab needs Linux, this is {sys.platform}", todo="use a Linux VM")
    if os.geteuid() != 0:
        again = shlex.join(["sudo", "-E", str(Path(sys.argv[0]).absolute()), *sys.argv[1:]])
        raise LabError("a lab needs root: it makes namespaces and firewall rules", todo=f"try: {again}")
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise LabError(
            f"a lab needs {', '.join(missing)}", todo=f"scripts/setup lab, or apt-get install {' '.join(missing)}"
        )
    if not os.access("/sys/fs/cgroup", os.W_OK):
        raise LabError("a lab needs control groups that can be written", where="/sys/fs/cgroup")


@contextmanager
def _alone() -> Iterator[None]:
    """One `up` or `down` at a time on this machine; the next one waits."""
    LOCK.parent.mkdir(exist_ok=True)  # a machine without systemd may lack it
    with alone(LOCK):
        RUN.mkdir(parents=True, exist_ok=True)
        DATA.mkdir(parents=True, exist_ok=True)
        yield
