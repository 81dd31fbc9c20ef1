"""What the adapter makes of an engine that answers, and does not do what it is asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiodocker.exceptions import DockerError
from tests.virtual_time import run

from bayplan.engines.docker import DockerEngine
from bayplan.errors import DeadlineError, HostRefusedError


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


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"KernelVersion": "6.8-linuxkit", "OperatingSystem": "Docker Desktop"}, "Docker Desktop"),
        ({"KernelVersion": "6.1", "OperatingSystem": "Docker Desktop"}, "Docker Desktop"),  # of one WSL, in two systems
        ({"KernelVersion": "6.8", "OperatingSystem": "Ubuntu 24.04 LTS"}, "Ubuntu 24.04 LTS"),
        ({"KernelVersion": "6.1", "SecurityOptions": ["name=seccomp", "name=rootless"]}, "rootless"),
        ({"KernelVersion": "6.1", "OperatingSystem": "Debian", "SecurityOptions": ["name=seccomp"]}, ""),
    ],
)
def test_an_engine_whose_sockets_are_not_this_machines_is_refused(
    told: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began everything, and waited two minutes for a gateway that nobody here can reach."""

    async def info() -> dict[str, Any]:
        return {"ServerVersion": "28.0", "NCPU": 2, "MemTotal": 1 << 30, **told}

    async def story() -> None:
        engine = DockerEngine(SimpleNamespace(host="localhost"), kernel="6.1")  # type: ignore[arg-type]
        monkeypatch.setattr(engine, "info", info)
        if not why:
            assert (await engine._itself()).version == "28.0"
            return
        with pytest.raises(HostRefusedError, match=why):
            await engine._itself()

    run(story())
