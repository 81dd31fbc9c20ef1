"""The way to a registry on a host of the fleet."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests import virtual_time

from bayplan.errors import RegistryError
from bayplan.images.login import Login
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


async def test_who_we_are_is_told_by_us_and_not_by_a_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names servers for other programs, and may have a `default`. Where a registry sends us hears nothing of us."""
    (tmp_path / "netrc").write_text("default login anonymous password me@example.com\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    told: list[list[str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        who = [line.partition(": ")[2] for line in head if line.lower().startswith("authorization:")]
        told.append([head[0].split()[1], *who])
        if head[0].startswith("GET /v2/blob"):
            writer.write(f"HTTP/1.1 307 \r\nLocation: http://localhost:{port}/store\r\n".encode())
        elif head[0].startswith("GET /v2/") and not who:
            writer.write(b'HTTP/1.1 401 \r\nWWW-Authenticate: Basic realm="x"\r\n')
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n")
        writer.write(b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = Transport(f"127.0.0.1:{port}", "there", login=Login("there", "ann", "echo secret"))
        try:
            await transport.send("GET", "/v2/")
            await transport.send("GET", "/v2/blob")
        finally:
            await transport.close()
    ours = "Basic YW5uOnNlY3JldA=="
    assert told == [["/v2/"], ["/v2/", ours], ["/v2/blob", ours], ["/store"]]


OK, BUSY = Answer(200, {}, b"{}"), Answer(503, {}, b"")


def slow_down(seconds: str) -> Answer:
    return Answer(429, {"retry-after": seconds}, b"")


@pytest.mark.parametrize(
    ("answers", "waited"),
    [
        ([slow_down("7"), slow_down("0"), OK], 8),
        ([BUSY, BUSY, BUSY, OK], 7),
        ([slow_down("Fri, 31 Dec 1999 23:59:59 GMT"), OK], 1),
    ],
)
def test_a_registry_that_is_busy_for_a_moment_is_asked_again(answers: list[Answer], waited: float) -> None:
    assert virtual_time.run(waits(answers)) == waited


@pytest.mark.parametrize(
    ("answers", "waited", "todo"),
    [
        ([slow_down("3600")], 0, "it is busy: run it again in 3600 s"),
        ([slow_down("25")] * 3, 50, "it is busy: run it again in a while"),
        ([BUSY] * 4, 7, "it is busy: run it again in a while"),
        ([Answer(502, {"retry-after": "1"}, b"")], 0, ""),
    ],
)
def test_one_that_does_not_come_to_it_is_told(answers: list[Answer], waited: float, todo: str) -> None:
    async def story() -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(RegistryError, match=f"GET /v2/ with {answers[0].status}") as told:
            await waits(answers)
        assert told.value.todo == todo
        assert asyncio.get_running_loop().time() - began == waited

    virtual_time.run(story())


async def waits(answers: list[Answer]) -> float:
    """Seconds until the last of them, which is an answer to the question."""
    transport, began = Transport("registry.example.com", "there"), asyncio.get_running_loop().time()

    async def answered(*_: object) -> Answer:
        return answers.pop(0)

    transport._answered = answered  # type: ignore[method-assign]
    assert await transport.send("GET", "/v2/")
    assert not answers
    return asyncio.get_running_loop().time() - began
