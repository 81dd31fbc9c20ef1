"""Directories of containers as streams of tar: the engine's archive API, without a copy of the whole in memory."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from bayplan.engines.client import IDLE, Client, asking, endless, patient
from bayplan.errors import EngineError, NotFoundError

CHUNK = 256 << 10  # bytes
_OK = 200
_IS_DIRECTORY = 1 << 31  # Go's os.ModeDir
_STAT = "X-Docker-Container-Path-Stat"  # Engine API, ContainerArchiveInfo


async def read(client: Client, name: str, path: str) -> AsyncGenerator[bytes]:
    """A file or directory; "/." at the end: what is in it. Raises NotFoundError; EngineError when it stands still."""
    docker = await client.docker()
    with client.translating():
        # The library's own request reads it whole.
        async with asking(docker, f"containers/{name}/archive", params={"path": path}, timeout=endless()) as response:
            try:
                async for chunk in patient(response.content.iter_chunked(CHUNK)):
                    yield chunk
            except TimeoutError as late:
                raise EngineError(f"reading {path} stood still for {IDLE:g} s", where=client.host) from late


async def write(client: Client, name: str, path: str, tar: AsyncIterator[bytes]) -> None:
    """Unpacked as it comes, the directory's own owner and mode with it. Raises NotFoundError, EngineError."""
    roots: list[tarfile.TarInfo] = []
    await unpack(client, name, path, _noting_root(tar, roots))
    for root in roots:  # the engine unpacks into a directory that is there, and leaves that one as it is
        parent, _, own = path.rpartition("/")
        await unpack(client, name, parent or "/", _as_entry(root, own))


async def _noting_root(tar: AsyncIterator[bytes], roots: list[tarfile.TarInfo]) -> AsyncIterator[bytes]:
    """The same bytes. What `read` gives begins with the directory itself."""
    is_first = True
    async for chunk in tar:
        if is_first and len(chunk) >= tarfile.BLOCKSIZE:
            with suppress(tarfile.HeaderError):
                info = tarfile.TarInfo.frombuf(chunk[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
                roots += [info] if info.isdir() and info.name.rstrip("/") == "." else []
        is_first = False
        yield chunk


async def _as_entry(root: tarfile.TarInfo, name: str) -> AsyncIterator[bytes]:
    root.name = name
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(root)
    yield packed.getvalue()


async def unpack(client: Client, name: str, path: str, tar: AsyncIterator[bytes]) -> None:
    """Into a directory that is there, as it comes. Raises NotFoundError, EngineError."""
    docker = await client.docker()
    with client.translating():
        async with asking(
            docker,
            f"containers/{name}/archive",
            "PUT",
            params={"path": path},
            data=tar,
            headers={"Content-Type": "application/x-tar"},
            timeout=endless(),
        ) as response:
            if response.status != _OK:
                raise EngineError(f"{path} was not unpacked: {await response.text()}", where=client.host)


async def is_directory(client: Client, name: str, path: str) -> bool | None:
    """None: nothing is there."""
    told = None
    for method in ("HEAD", "GET"):  # the library cannot read a refusal that has no body
        with suppress(ValueError, NotFoundError):
            async with (
                client.calling() as docker,
                asking(docker, f"containers/{name}/archive", method, params={"path": path}) as response,
            ):
                told = json.loads(base64.b64decode(response.headers[_STAT]))
            break
    if told is None:
        return None
    if told.get("linkTarget") and told["linkTarget"] != path:
        return await is_directory(client, name, told["linkTarget"])
    return bool(told["mode"] & _IS_DIRECTORY)
