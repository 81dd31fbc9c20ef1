"""The machine that a run was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from bayplan.lab import Lab


def facts(lab: Lab) -> dict[str, str]:
    """Name to value, as the table tells it."""
    return {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{_memory() / (1 << 30):.0f} GiB",
        "kernel": platform.release(),
        "system": _first("/etc/os-release", r'PRETTY_NAME="(.*)"'),
        "hosts": f"{lab.count}, all on this machine: they share its cores with the load and with bayplan",
        "Docker Engine": ", ".join(sorted({h.engine for h in lab.status().hosts})),
        "storage driver": _on(lab, ["docker", "info", "--format", "{{.Driver}}"]),
        "Python": platform.python_version(),
        "commit": _commit(),
    }


def haproxy(lab: Lab, container: str) -> str:
    """The version in a container that runs."""
    said = _on(lab, ["docker", "exec", container, "haproxy", "-v"])
    found = re.search(r"version (\S+)", said)
    return found[1] if found else "unknown"


def _processor() -> str:
    return _first("/proc/cpuinfo", r"model name\s*: (.*)") or platform.machine()


def _memory() -> int:
    return int(_first("/proc/meminfo", r"MemTotal:\s*(\d+)")) << 10


def _first(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text())
    return found[1].strip() if found else ""


def _on(lab: Lab, argv: list[str]) -> str:
    return lab.on(lab.hosts[0].name, argv).stdout.strip()


def _commit() -> str:
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"
