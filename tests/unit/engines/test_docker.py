"""What the adapter makes of an engine that answers, and does not do what it is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiodocker.exceptions import DockerError
from tests.virtual_time import run

from bayplan.engines.docker import DockerEngine
from bayplan.errors import DeadlineError


class Stuck:
    """A container that the engine is removing, and never has removed."""

    async def delete(self, **_: Any) -> None:
        raise DockerError(409, "removal of container x is already in progress")

    async def wait(self, **_: Any) -> None:
        await asyncio.Event().wait()


def test_a_removal_that_does_not_end_makes_no_host_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        engine = DockerEngine(SimpleNamespace(host="h1"))  # type: ignore[arg-type]
        docker = SimpleNamespace(containers=SimpleNamespace(container=lambda _: Stuck()))

        async def dialled() -> Any:
            return docker

        monkeypatch.setattr(engine._client, "docker", dialled)
        with pytest.raises(DeadlineError):
            await engine.remove("x", 0)

    run(story())
