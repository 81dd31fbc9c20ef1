"""Load from outside: wrk for rates, a client of our own that counts every request, a look at who answers."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

CONNECTIONS = 32
DEADLINE = 30.0
AGAIN = 0.02  # seconds


class LoadError(Exception):
    """What went wrong with the measuring itself."""


@dataclass(slots=True)
class Told:
    """What wrk printed. failed: answers that were not 2xx or 3xx, and socket errors of any kind."""

    rate: float = 0.0
    requests: int = 0
    failed: int = 0
    text: str = ""


def read_wrk(text: str) -> Told:
    """wrk's report as numbers. Raises LoadError when it is none."""
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"(\d+) requests in", text)
    if not (rate and requests):
        raise LoadError(f"wrk did not report: {text.strip()}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failed = int(refused[1]) if refused else 0
    failed += sum(int(n) for n in broken.groups()) if broken else 0
    return Told(float(rate[1]), int(requests[1]), failed, text)


def wrk(url: str, seconds: int, threads: int = 1, within: Sequence[str] = ()) -> Told:
    """Load for a while. within: the command that runs it somewhere else."""
    argv = [*within, "wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds + DEADLINE)
    return read_wrk(done.stdout + done.stderr)


@contextmanager
def wrk_meanwhile(url: str, within: Sequence[str] = ()) -> Iterator[Told]:
    """Load while the block runs; what is yielded is filled in when it ends."""
    argv = [*within, "wrk", "-t1", f"-c{CONNECTIONS}", "-d600s", url]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    told = Told()
    try:
        yield told
        running.send_signal(signal.SIGINT)
        found = read_wrk(running.communicate(timeout=DEADLINE)[0])
        told.rate, told.requests, told.failed, told.text = found.rate, found.requests, found.failed, found.text
    finally:
        running.kill()
        running.wait()


@dataclass(slots=True)
class Counted:
    """What the client of our own saw: a new connection for each request."""

    requests: int = 0
    failed: int = 0
    first_failure: str = ""


@contextmanager
def counting_meanwhile(address: str, port: int, pause: float = 0.005) -> Iterator[Counted]:
    """Requests one after another while the block runs, each counted."""
    seen, over = Counted(), threading.Event()

    def ask() -> None:
        while not over.wait(pause):
            seen.requests += 1
            try:
                answered(address, port)
            except (OSError, http.client.HTTPException, LoadError) as error:
                seen.failed += 1
                seen.first_failure = seen.first_failure or repr(error)

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    try:
        yield seen
    finally:
        over.set()
        client.join(DEADLINE)


def answered(address: str, port: int) -> str:
    """Which replica answered a new connection. Raises OSError, HTTPException, LoadError."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        return _ask(connection)
    finally:
        connection.close()


def until_distinct(address: str, port: int, wanted: int) -> None:
    """Ask until that many different replicas have answered. Raises LoadError after the deadline."""
    seen: set[str] = set()
    end = time.monotonic() + DEADLINE
    connection = http.client.HTTPConnection(address, port, timeout=5)
    said = ""
    while len(seen) < wanted:
        try:
            seen.add(_ask(connection))
        except (OSError, http.client.HTTPException, LoadError) as error:
            said = f", last: {error}"
            connection.close()
            time.sleep(AGAIN)
        if time.monotonic() > end:
            raise LoadError(f"{len(seen)} of {wanted} replicas answered within {DEADLINE:g} s{said}")
    connection.close()


def _ask(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/")
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise LoadError(f"status {answer.status}")
    return str(answer.headers["X-Replica"])
