"""Operations on a fleet in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time knows of no thread that it should wait for."""

    async def here(work: Callable[..., T], *args: object) -> T:
        return work(*args)

    monkeypatch.setattr("asyncio.to_thread", here)
