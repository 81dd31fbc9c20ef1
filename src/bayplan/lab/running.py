"""A lab that is up: what it is, how it stands, breaking it on purpose."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bayplan.errors import LabError, UsageError
from bayplan.lab import cgroups, hub, machines, network
from bayplan.lab.layout import Layout, Member
from bayplan.lab.process import run, succeeds, wait_for
from bayplan.lab.recipes import EngineKind

Fault = Literal["cut", "heal", "kill-engine", "start-engine", "slow"]


@dataclass(frozen=True)
class HostStatus:
    """state: up, cut, no engine, off. engine: its version, empty if it does not answer."""

    host: str
    zone: str
    private_ip: str
    public_ip: str
    state: str
    engine: str


@dataclass(frozen=True)
class LabStatus:
    lab: str
    engine: str
    private_net: str
    fleet_file: str
    mirror: bool
    hosts: tuple[HostStatus, ...]


@dataclass(frozen=True)
class Lab:
    """One lab. count: hosts. directory: where fleet.yaml, ssh_config and the keys are."""

    name: str
    index: int
    engine: EngineKind
    count: int
    directory: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.name, self.index)

    @property
    def hosts(self) -> tuple[Member, ...]:
        """h1, h2, …: name, zone, private_ip, public_ip of each."""
        return self.layout.members(self.count)

    @property
    def fleet_file(self) -> Path:
        return self.directory / "fleet.yaml"

    @property
    def ssh_config(self) -> Path:
        return self.directory / "ssh_config"

    @property
    def private_net(self) -> str:
        return self.layout.private_net

    def host(self, name: str) -> Member:
        """Raises UsageError when there is no such host."""
        for member in self.hosts:
            if member.name == name:
                return member
        raise UsageError(f"lab '{self.name}' has no host '{name}'", todo=f"it has h1 to h{self.count}")

    def socket(self, name: str) -> Path:
        """The host's engine socket, as reached from this machine."""
        return self.root(name) / "run/docker.sock"

    def root(self, name: str) -> Path:
        """The host's file system, as reached from this machine. It moves when the host is booted again."""
        place = machines.root(self.host(name))
        if place is None:
            raise LabError(f"{name} is off", todo=f"bayplan lab up --name {self.name} starts it again")
        return place

    def on(self, name: str, argv: Sequence[str], deadline: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command as root on the host's console, whatever its network does. Does not raise on its failure."""
        self.root(name)
        return _capture(machines.on_console(self.host(name), argv), deadline)

    def outside(self, argv: Sequence[str], deadline: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command that sees only the public network. Does not raise on its failure."""
        return _capture(network.inside(self.layout.netns("outside"), argv), deadline)

    def fault(self, kind: Fault, name: str, rate: str = "1mbit") -> None:
        """Break a host, or mend it. cut: both its links go; slow: both carry `rate` at most; heal mends either."""
        member = self.host(name)
        self.root(name)
        match kind:
            case "cut":
                _links(self.layout, member, "down")
            case "heal":
                _links(self.layout, member, "up")
                _shape(self.layout, member, None)
            case "slow":
                _shape(self.layout, member, rate)
            case "kill-engine":
                _kill_engine(member)
            case "start-engine":
                machines.start_engine(member)

    def status(self) -> LabStatus:
        hosts = tuple(_status(self.layout, member) for member in self.hosts)
        mirror = hub.answers(self.layout)
        return LabStatus(self.name, self.engine, self.private_net, str(self.fleet_file), mirror, hosts)

    def save(self, *, ready: bool) -> None:
        """Record the lab where `down` finds it from anywhere. ready: it is all up; if never, its remains are swept."""
        state = self.layout.state
        state.mkdir(parents=True, exist_ok=True)
        partial = state / "lab.json.partial"
        partial.write_text(json.dumps({**asdict(self), "ready": ready}, default=str, indent=2) + "\n")
        partial.rename(state / "lab.json")


def load(state: Path) -> Lab | None:
    """The lab recorded in a state directory, None if it was never all up."""
    lab, ready = recorded(state)
    return lab if ready else None


def recorded(state: Path) -> tuple[Lab | None, bool]:
    """(the lab recorded in a state directory, whether it was all up)."""
    try:
        saved = json.loads((state / "lab.json").read_text())
        lab = Lab(saved["name"], saved["index"], saved["engine"], saved["count"], Path(saved["directory"]))
        return lab, bool(saved["ready"])
    except (FileNotFoundError, ValueError, KeyError):
        return None, False


def _capture(argv: Sequence[str], deadline: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=deadline, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as late:
        raise LabError(f"no answer in {deadline:.0f} s from: {' '.join(argv)[-300:]}") from late


def _ends(member: Member) -> tuple[tuple[str, str], ...]:
    """Both wires' ends: (on the switch, on the host)."""
    return ((f"{member.name}-private", "eth0"), (f"{member.name}-public", "eth1"))


def _links(layout: Layout, member: Member, state: str) -> None:
    """The switch's end: the host's own addresses and routes stay, as when a cable is pulled."""
    for on_switch, _ in _ends(member):
        run(network.inside(layout.netns("switch"), ["ip", "link", "set", on_switch, state]))


def _shape(layout: Layout, member: Member, rate: str | None) -> None:
    """A token bucket on each end of each wire; None takes it off."""
    for on_switch, on_host in _ends(member):
        for netns, link in ((layout.netns("switch"), on_switch), (member.netns, on_host)):
            succeeds(network.inside(netns, ["tc", "qdisc", "del", "dev", link, "root"]))
            if rate:
                limits = ["rate", rate, "burst", "16kb", "latency", "200ms"]
                run(network.inside(netns, ["tc", "qdisc", "add", "dev", link, "root", "tbf", *limits]))


def _kill_engine(member: Member) -> None:
    """As a crash does: no shutdown, containers run on. containerd ends with the dockerd that started it."""
    succeeds(machines.on_console(member, ["pkill", "-KILL", "-x", "dockerd"]))
    gone = machines.on_console(member, ["pgrep", "-x", "dockerd|containerd"])
    wait_for(lambda: not succeeds(gone), f"the engine of {member.name} ends", deadline=15)


def _status(layout: Layout, member: Member) -> HostStatus:
    engine = machines.engine_version(member) or ""
    off = cgroups.init_process(member.group) is None
    state = "off" if off else "cut" if _is_cut(layout, member) else "up" if engine else "no engine"
    return HostStatus(member.name, member.zone, member.private_ip, member.public_ip, state, engine)


def _is_cut(layout: Layout, member: Member) -> bool:
    show = network.inside(layout.netns("switch"), ["ip", "-json", "link", "show", f"{member.name}-private"])
    return "UP" not in json.loads(run(show))[0]["flags"]
