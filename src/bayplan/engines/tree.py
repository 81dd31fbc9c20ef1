"""Directories of containers as streams of tar: the engine's archive API, without a copy of the whole in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from bayplan.engines.client import Client
from bayplan.errors import EngineError

CHUNK = 256 << 10  # bytes
IDLE = 120.0  # seconds that a stream may stand still
_OK = 200


async def read(client: Client, name: str, path: str) -> AsyncIterator[bytes]:
    """What is in the directory. Raises NotFoundError; EngineError when it stands still."""
    docker = await client.docker()
    with client.translating():
        async with docker._query(  # noqa: SLF001  the library reads it whole
            f"containers/{name}/archive", params={"path": f"{path}/."}, timeout=_patient(docker)
        ) as response:
            while True:
                try:
                    async with asyncio.timeout(IDLE):
                        chunk = await response.content.read(CHUNK)
                except TimeoutError as late:
                    raise EngineError(f"reading {path} stood still for {IDLE:g} s", where=client.host) from late
                if not chunk:
                    return
                yield chunk


async def write(client: Client, name: str, path: str, tar: AsyncIterator[bytes]) -> None:
    """Unpacked as it comes. Raises NotFoundError, EngineError."""
    docker = await client.docker()
    with client.translating():
        async with docker._query(  # noqa: SLF001
            f"containers/{name}/archive",
            "PUT",
            params={"path": path},
            data=tar,
            headers={"Content-Type": "application/x-tar"},
            timeout=_patient(docker),
        ) as response:
            if response.status != _OK:
                raise EngineError(f"{path} was not unpacked: {await response.text()}", where=client.host)


def _patient(docker: Any) -> Any:
    return docker._resolve_long_running_timeout(None)  # noqa: SLF001
