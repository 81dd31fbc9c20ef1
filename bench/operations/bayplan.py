"""bayplan as a user runs it: one process a command, timed from its start to its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

DEADLINE = 180.0
# All that `scale` has loaded before its first container is made, in the way in which it loads it.
_LOADING = """
import bayplan.cli.main, bayplan.cli.scale, bayplan.wiring
bayplan.wiring.import_aiohttp()
import aiodocker, bayplan.operate.bring
"""


class CommandError(Exception):
    """A command that did not end with 0, and what it said."""


@dataclass(frozen=True, slots=True)
class Bayplan:
    """directory: where the app's compose.yaml is."""

    directory: Path
    fleet_file: Path

    def timed(self, *words: str, environment: Mapping[str, str] | None = None) -> float:
        """Seconds that the command takes, its process's start included. Raises CommandError."""
        return self._run(words, environment or {})[0]

    @staticmethod
    def loading() -> float:
        """Seconds that a process takes which starts, loads what `scale` runs, and ends."""
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", _LOADING], check=True, env=_as_installed(os.environ), timeout=DEADLINE)
        return time.perf_counter() - begun

    def beside(self, name: str, source: Path | None = None) -> Bayplan:
        """Another app of the same fleet, in a folder of that name; source: whose files are copied there."""
        there = self.directory.with_name(name)
        there.mkdir(exist_ok=True)
        if source:
            shutil.copytree(source, there, dirs_exist_ok=True)
        return replace(self, directory=there)

    def instances(self) -> list[dict[str, Any]]:
        """What `ps` tells of the service's replicas."""
        return [instance for service in self.ps()["services"] for instance in service["instances"]]

    def ps(self) -> dict[str, Any]:
        """What `ps` tells."""
        told: dict[str, Any] = json.loads(self._run(("ps", "--json"), {})[1])
        return told

    def _run(self, words: tuple[str, ...], environment: Mapping[str, str]) -> tuple[float, str]:
        argv = [str(Path(sys.executable).parent / "bayplan"), *words]
        env = _as_installed({**os.environ, "BAYPLAN_FLEET": str(self.fleet_file), **environment})
        begun = time.perf_counter()
        done = subprocess.run(
            argv,
            cwd=self.directory,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=DEADLINE,
        )
        took = time.perf_counter() - begun
        if done.returncode:
            raise CommandError(f"bayplan {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return took, done.stdout


def _as_installed(environment: Mapping[str, str]) -> dict[str, str]:
    """What Python runs is compiled once, not at every start."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}
