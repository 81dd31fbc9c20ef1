"""The command, in processes of its own that need not load it each time.

Loading Python and all that bayplan imports takes more than half of what a short verb needs of a core, and the lab's tests
run some thousand verbs. So a server loads it once, and each command is a fork of that: a process with its own session,
directory, environment, standard streams and end, which runs `main`. The main job, the examples, and all that needs a
terminal or a pipe are done by what a person types (`site.from_scratch`, `site.BAYPLAN`).
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import bayplan

_forks = multiprocessing.get_context("forkserver")
_NOT_LOADED = ("bayplan.lab", "bayplan.cli.size")  # what most verbs have no use for


class Command:
    """One that was begun: the part of `subprocess.Popen` that tests use. Its streams are files.

    said: what standard output goes to; errors: None for the same.
    """

    def __init__(
        self,
        words: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        said: Path,
        errors: Path | None = None,
        given: Path = Path(os.devnull),
    ) -> None:
        _forks.set_forkserver_preload(_modules())
        streams = (str(given), str(said), str(errors) if errors else "")
        what = (list(words), str(directory), dict(environment), streams)
        self._process = _forks.Process(target=_run, args=what, daemon=True)  # a test that ends early leaves none
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """None while it runs; less a signal's number, if that ended it."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutError."""
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutError(f"still runs after {timeout} s")
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """To it alone, if it still runs."""
        if self._process.pid and self.poll() is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _modules() -> list[str]:
    found = (m.name for m in pkgutil.walk_packages(bayplan.__path__, "bayplan."))
    return [
        "bayplan.cli.main",
        *(name for name in found if not name.startswith(_NOT_LOADED)),
        "rich.live",
        "rich.markup",
    ]


def _run(words: list[str], directory: str, environment: dict[str, str], streams: tuple[str, str, str]) -> None:
    """In the fork: everything as it is in a process that was just begun, then the command."""
    os.setsid()
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    given, said, errors = streams
    os.dup2(os.open(given, os.O_RDONLY), 0)
    os.dup2(os.open(said, os.O_WRONLY | os.O_APPEND), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND) if errors else 1, 2)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115  they are its own until it ends
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    sys.argv = ["bayplan", *words]
    from bayplan.cli.main import main

    main()
