"""The first words with what answers at an engine's address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bayplan.engines.client import Patience, patient
from bayplan.engines.docker import DockerEngine
from bayplan.errors import HostUnreachableError
from bayplan.hosts import LocalReach
from bayplan.spec.model import Host


async def test_what_answers_and_is_no_engine_is_told_as_that(tmp_path: Path) -> None:
    async def anything(_request: web.Request) -> web.Response:
        return web.Response(text="OK")

    app = web.Application()
    app.router.add_get("/{path:.*}", anything)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    engine = DockerEngine(LocalReach(Host(name="h1", address=f"unix://{tmp_path}/s", private_ip="127.0.0.1")))
    try:
        with pytest.raises(HostUnreachableError, match="nothing answers at"):
            await engine.info()
    finally:
        await engine.close()
        await runner.cleanup()


@pytest.mark.parametrize("is_sent", [True, False])
async def test_an_engine_that_is_still_being_sent_what_it_is_to_answer_does_not_stand_still(
    monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    """A large build context on a slow line: it was given up after two minutes, whatever had got there."""
    monkeypatch.setattr("bayplan.engines.client.IDLE", 0.2)
    patience = Patience()

    async def answers() -> AsyncIterator[str]:
        for _ in range(8):
            await asyncio.sleep(0.05)
            if is_sent:
                patience.moved()
        yield "built"

    if is_sent:
        assert [said async for said in patient(answers(), patience)] == ["built"]
        return
    with pytest.raises(TimeoutError):
        [said async for said in patient(answers(), patience)]
