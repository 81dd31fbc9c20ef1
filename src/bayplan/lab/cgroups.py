"""Control groups: every process of a lab is in one of the lab's, so that none of them is ever lost.

Works with version 1 (a tree for each controller) and version 2 (one tree).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from bayplan.lab.process import wait_for

_BASE = Path("/sys/fs/cgroup")


@cache
def _hierarchies() -> tuple[Path, ...]:
    """The roots of all trees; the first is the one that tells which processes are where."""
    if (_BASE / "cgroup.controllers").exists():
        return (_BASE,)
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    trees = dict.fromkeys(Path(m[1]) for m in mounts if m[2] in {"cgroup", "cgroup2"})
    return tuple(sorted(trees, key=lambda tree: (tree.name != "pids", tree.name)))


def create(group: str) -> None:
    """Make the group in every tree. group: a path like bayplan-lab/lab/h1."""
    parts = Path(group).parts
    for tree in _hierarchies():
        (tree / group).mkdir(parents=True, exist_ok=True)
        for depth in range(1, len(parts) + 1):
            _ready(tree.joinpath(*parts[:depth]))


def _ready(step: Path) -> None:
    """cpuset (version 1) lets nobody in before it has processors; version 2 hands controllers down one level a time."""
    for knob in ("cpuset.cpus", "cpuset.mems"):
        if (step / knob).exists() and not (step / "cgroup.controllers").exists():
            (step / knob).write_text((step.parent / knob).read_text())
    if (step.parent / "cgroup.subtree_control").exists():
        for controller in (step.parent / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):
                (step.parent / "cgroup.subtree_control").write_text(f"+{controller}")


def joining(group: str, argv: Sequence[str]) -> list[str]:
    """The command that runs argv in the group; in version 2 in its leaf, once it has one (see beginning)."""
    groups = " ".join(str(tree / group) for tree in _hierarchies())
    leaf = 'if [ -d "$g/init" ]; then g=$g/init; fi'
    enter = f'for g in {groups}; do {leaf}; echo $$ > "$g/cgroup.procs" || exit 1; done; exec "$@"'
    return ["sh", "-c", enter, "sh", *argv]


def beginning(group: str, argv: Sequence[str]) -> list[str]:
    """As joining, and with the group as the root of a cgroup namespace.

    Version 2 wants no process beside groups that have controllers, so there it steps down into a leaf at once.
    """
    leaf = _BASE / group / "init"
    step = f'if [ -e {_BASE}/cgroup.controllers ]; then mkdir -p {leaf}; echo $$ > {leaf}/cgroup.procs; fi; exec "$@"'
    return joining(group, ["unshare", "--cgroup", "sh", "-c", step, "sh", *argv])


def processes(group: str) -> list[int]:
    """Process ids in the group and all below it."""
    found: list[int] = []
    for directory in _below(_hierarchies()[0] / group):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in (directory / "cgroup.procs").read_text().split()]
    return found


def _below(group: Path) -> Iterator[Path]:
    """The group and all within it; those of containers may go while one looks."""
    return (Path(directory) for directory, _, _ in os.walk(group))


def init_process(group: str) -> int | None:
    """The process that is number 1 in the namespace of the host whose group this is."""
    for pid in processes(group):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            names = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(names) == 2 and names[1] == "1" and "State:\tZ" not in status:  # noqa: PLR2004  here and there
                return pid
    return None


def destroy(group: str) -> None:
    """Kill every process in the group, paused ones too, and remove the group."""
    wait_for(lambda: _kill(group), f"the processes in {group} end", deadline=20)
    for tree in _hierarchies():
        wait_for(lambda top=tree / group: _remove(top), f"{tree / group} is removed", deadline=10)  # type: ignore[misc]


def _kill(group: str) -> bool:
    for tree in _hierarchies():
        for directory in _below(tree / group):  # a frozen process does not die before it thaws
            with contextlib.suppress(OSError):
                (directory / "freezer.state").write_text("THAWED")
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
