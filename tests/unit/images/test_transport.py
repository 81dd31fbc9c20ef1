"""The way to a registry on a host of the fleet."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bayplan.errors import RegistryError
from bayplan.images.transport import Answer, Transport

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, path):
        yield


def test_a_way_that_broke_is_dialled_again_once() -> None:
    async def story(directory: Path) -> None:
        ways = [directory / "before", directory / "after", directory / "nowhere", directory / "nowhere"]

        async def dial() -> str:
            return f"unix:{ways.pop(0)}"

        transport = Transport("localhost:5000", "h1", dial=dial)
        try:
            async with listening(ways[0]):
                assert await transport.send("GET", "/v2/")
            (directory / "before").unlink(missing_ok=True)
            async with listening(directory / "after"):
                assert await transport.send("GET", "/v2/")
            (directory / "after").unlink(missing_ok=True)
            with pytest.raises(RegistryError, match="does not answer"):
                await transport.send("GET", "/v2/")
            assert len(ways) == 1
        finally:
            await transport.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(story(Path(directory)))


@pytest.mark.parametrize("errors", ['{"code": 1}', '"no"', "[]", "[null]", "null", '[{"message": null}]'])
def test_a_refusal_in_whatever_form_is_told(errors: str) -> None:
    """Proxies in front of registries have their own."""
    answer = Answer(502, {}, f'{{"errors": {errors}}}'.encode())
    told = Transport("registry.example.com", "there")._refusal(answer, "GET /v2/")
    assert told.what == "the registry answered GET /v2/ with 502"
