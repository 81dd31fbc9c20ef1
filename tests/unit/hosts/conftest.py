"""Sockets of a test's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="bp", dir="/tmp") as short:  # pytest's own are too long for sockets
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield
