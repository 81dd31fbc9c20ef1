"""Commands of the system, and waiting for what they lead to."""

from __future__ import annotations

import fcntl
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from bayplan.errors import BayplanError, LabError

T = TypeVar("T")


def run(argv: Sequence[str], *, stdin: str | None = None, deadline: float = 60) -> str:
    """What the command prints. Raises LabError with what it said if it fails or takes longer than deadline seconds."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=deadline, check=False)
    except FileNotFoundError as missing:
        raise LabError(f"{argv[0]} is not installed", todo="scripts/setup lab installs it") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"no answer in {deadline:.0f} s from: {' '.join(argv)}") from late
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"{' '.join(argv)[:300]} failed: {said}")
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    return subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0


def spawn(argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start something that outlives this process, in a session of its own. log: where its output goes."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def wait_for(probe: Callable[[], T | None], what: str, *, deadline: float, log: Path | None = None) -> T:
    """The probe's first answer that is neither None nor False; LabError with the end of log after deadline seconds."""
    end = time.monotonic() + deadline
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise LabError(f"{what}: not after {deadline:.0f} s{_tail(log)}")
        time.sleep(0.02)


@contextmanager
def alone(lock: Path, deadline: float = 600) -> Iterator[None]:
    """One process at a time; the next one waits. Raises LabError when it has waited for `deadline` seconds."""
    with lock.open("w") as held:
        wait_for(lambda: _locked(held), f"another `bayplan lab` is at work: {lock} (fuser {lock})", deadline=deadline)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tail(log: Path | None, lines: int = 12) -> str:
    if log is None or not log.exists():
        return ""
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return f"; {log} ends with:\n" + "\n".join(f"    {line}" for line in last)


def together(work: Callable[[T], object], items: Iterable[T], most: int = 16) -> None:
    """Do the work for all items at once; every failure is told, not only the first."""
    with ThreadPoolExecutor(max_workers=most) as pool:
        waiting = [pool.submit(work, item) for item in items]
    failures = [failure for one in waiting if (failure := one.exception()) is not None]
    for failure in failures:
        if len(failures) == 1 or not isinstance(failure, BayplanError):
            raise failure
    if failures:
        raise LabError("\n".join(str(failure) for failure in failures)) from failures[0]
