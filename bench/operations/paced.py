"""A client that calls at a constant rate, and tells how long each call took: its own small program.

`python -m bench.operations.paced ADDRESS[,ADDRESS] PORT RATE SECONDS [--fresh]`: as JSON, seconds. It runs in the
network of the container that calls. Kept open: one call after another over a few connections, none waits. With
--fresh a connection for each call, until SIGINT.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from statistics import median, quantiles

CONNECTIONS = 8
PATIENCE = 10.0
REQUEST = b"GET / HTTP/1.1\r\nHost: back\r\n\r\n"


def main() -> None:
    address, port, rate, seconds = sys.argv[1], *map(int, sys.argv[2:5])
    where = [(one, port) for one in address.split(",")]
    told = _fresh(where, rate) if "--fresh" in sys.argv else _kept(where[0], rate, seconds)
    print(json.dumps(told))


def _kept(where: tuple[str, int], rate: int, seconds: int) -> dict[str, float]:
    took, opened = [], [_open(where) for _ in range(CONNECTIONS)]
    for connection, _ in zip(cycle(opened), _beats(rate, seconds), strict=False):
        begun = time.perf_counter()
        _call(connection)
        took.append(time.perf_counter() - begun)
    return {"calls": len(took), "median": median(took), "p99": quantiles(took, n=100)[98]}


def _fresh(where: Sequence[tuple[str, int]], rate: int) -> dict[str, float | str]:
    """Of several addresses the first that answers, as of a name that has them all."""
    over: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: over.append(number))
    calls, failed, first, longest = 0, 0, "", 0.0
    for _ in _beats(rate):
        if over:
            break
        begun = time.perf_counter()
        if error := _asked(where):
            failed, first = failed + 1, first or repr(error)
        calls, longest = calls + 1, max(longest, time.perf_counter() - begun)
    return {"calls": calls, "failed": failed, "first": first, "longest": longest}


def _asked(where: Sequence[tuple[str, int]]) -> OSError | None:
    failed = None
    for one in where:
        try:
            with _open(one) as connection:
                _call(connection)
        except OSError as error:
            failed = error
        else:
            return None
    return failed


def _beats(rate: int, seconds: int = 86400) -> Iterator[int]:
    """As many as `rate` a second, each at its time; late ones at once."""
    begun = time.perf_counter()
    for number in range(rate * seconds):
        wait = begun + number / rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        yield number


def _open(where: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(where, timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _call(connection: socket.socket) -> None:
    """Raises OSError for anything but a whole answer with status 200."""
    connection.sendall(REQUEST)
    got = b""
    while not _whole(got):
        more = connection.recv(65536)
        if not more:
            raise ConnectionResetError(f"the connection ended after {len(got)} bytes")
        got += more
    if not got.startswith(b"HTTP/1.1 200"):
        raise OSError(got.split(b"\r\n")[0].decode())


def _whole(answer: bytes) -> bool:
    head, there, body = answer.partition(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return bool(there) and len(body) >= int(length.partition(b":")[2])


if __name__ == "__main__":
    main()
