"""Control groups: every process of a lab is in one of the lab's, so that none of them is ever lost.

Works with version 1 (a tree for each controller) and version 2 (one tree).
"""

from __future__ import annotations

import contextlib
import os
import signal
from functools import cache
from pathlib import Path

from bayplan.lab.process import wait_for

_BASE = Path("/sys/fs/cgroup")


@cache
def hierarchies() -> tuple[Path, ...]:
    """The roots of all trees; the first is the one that tells which processes are where."""
    if (_BASE / "cgroup.controllers").exists():
        return (_BASE,)
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    trees = dict.fromkeys(Path(m[1]) for m in mounts if m[2] in {"cgroup", "cgroup2"})
    return tuple(sorted(trees, key=lambda tree: (tree.name != "pids", tree.name)))


def create(group: str) -> list[Path]:
    """Make the group in every tree. group: a path like bayplan-lab/lab/h1."""
    made = [tree / group for tree in hierarchies()]
    for tree, path in zip(hierarchies(), made, strict=True):
        path.mkdir(parents=True, exist_ok=True)
        steps = [tree / Path(*Path(group).parts[:depth]) for depth in range(1, len(Path(group).parts) + 1)]
        for step in steps:
            _ready(step)
    return made


def _ready(step: Path) -> None:
    """cpuset (version 1) lets nobody in before it has processors; version 2 hands controllers down one level a time."""
    for knob in ("cpuset.cpus", "cpuset.mems"):
        if (step / knob).exists() and not (step / "cgroup.controllers").exists():
            (step / knob).write_text((step.parent / knob).read_text())
    if (step.parent / "cgroup.subtree_control").exists():
        for controller in (step.parent / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (step.parent / "cgroup.subtree_control").write_text(f"+{controller}")


def entering(group: str) -> str:
    """A shell line that puts the shell into the group in every tree."""
    leaf = "/init" if len(hierarchies()) == 1 else ""
    places = " ".join(f"{tree / group}" for tree in hierarchies())
    return (
        f'for g in {places}; do t=$g/cgroup.procs; [ -d "$g{leaf}" ] && t=$g{leaf}/cgroup.procs; echo $$ > "$t"; done'
    )


def processes(group: str) -> list[int]:
    """Process ids in the group and all below it."""
    found: list[int] = []
    for listing in (hierarchies()[0] / group).rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in listing.read_text().split()]
    return found


def init_process(group: str) -> int | None:
    """The process that is number 1 in the namespace of the host whose group this is."""
    for pid in processes(group):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            names = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(names) == 2 + _depth() and names[-1] == "1" and "State:\tZ" not in status:
                return pid
    return None


@cache
def _depth() -> int:
    """How deep in process namespaces we are ourselves, less one."""
    status = Path("/proc/self/status").read_text()
    return len(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()) - 2


def destroy(group: str) -> None:
    """Kill every process in the group, paused ones too, and remove the group."""
    wait_for(lambda: _kill(group), f"the processes in {group} end", deadline=20)
    for tree in hierarchies():
        wait_for(lambda top=tree / group: _remove(top), f"{tree / group} is removed", deadline=10)  # type: ignore[misc]


def _kill(group: str) -> bool:
    for tree in hierarchies():
        for knob in (tree / group).rglob("freezer.state"):  # a frozen process does not die before it thaws
            with contextlib.suppress(OSError):
                knob.write_text("THAWED")
    alive = processes(group)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not alive


def _remove(top: Path) -> bool:
    for path, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
    return not top.exists()
