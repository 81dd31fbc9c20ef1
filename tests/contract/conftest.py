"""Real servers for the contract suites."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

MakeRegistry = Callable[..., int]


@pytest.fixture(scope="session")
def make_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRegistry]:
    """make_registry(auth="", tls="") -> port: CNCF distribution (Debian's docker-registry) on this machine's loopback.

    auth: the section of its configuration, as YAML; tls: what to add to http. Stopped when the session ends.
    """
    if not shutil.which("docker-registry"):
        said = "docker-registry is not installed: run scripts/setup lab"
        if os.environ.get("BAYPLAN_REQUIRE_LAB") == "1":
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    with ExitStack() as stack:
        yield lambda auth="", tls="": stack.enter_context(_registry(tmp_path_factory.mktemp("registry"), auth, tls))


@contextmanager
def _registry(directory: Path, auth: str, tls: str) -> Iterator[int]:
    port, log = _free_port(), directory / "log"
    config = directory / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: warn}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: x{tls}}}\n{auth}"
    )
    with log.open("wb") as output:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=output, stderr=output)
    try:
        _wait(port, process, log)
        yield port
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"the registry did not start: {log.read_text()}")
