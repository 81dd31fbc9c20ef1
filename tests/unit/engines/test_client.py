"""The first words with what answers at an engine's address."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

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
