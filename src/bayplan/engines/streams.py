"""What containers say and use: demultiplexed logs, and a reading of their statistics."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bayplan.engines.client import QUICK, SLOW, Client, asking
from bayplan.engines.moments import unix
from bayplan.errors import EngineError
from bayplan.ports import LogLine, Usage

if TYPE_CHECKING:
    from aiohttp import ClientResponse, StreamReader

_HEADER = struct.Struct(">BxxxL")  # Engine API, ContainerAttach, "Stream format"
_STREAMS = {1: "stdout", 2: "stderr"}
_ENGINE = 3  # moby's stdcopy.Systemerr: no line of the container's, and without a time
_CHUNK = 64 * 1024


async def logs(client: Client, name: str, *, tail: int | None, follow: bool, since: str) -> AsyncIterator[LogLine]:
    """A container's lines as they come, oldest first. Following, it ends with the container."""
    import aiohttp

    params: dict[str, Any] = {"stdout": True, "stderr": True, "timestamps": True, "follow": follow}
    params |= {"tail": "all" if tail is None else str(tail)} | ({"since": unix(since)} if since else {})
    async with client.calling() as docker:
        tty = bool((await docker.containers.container(name).show())["Config"]["Tty"])
    idle = aiohttp.ClientTimeout(sock_connect=QUICK, sock_read=None if follow else SLOW)
    with client.translating():
        # The library's own log() merges both streams; this is the request that it makes.
        async with asking(docker, f"containers/{name}/logs", params=params, timeout=idle) as response:
            async for line in _lines(response, tty=tty):
                yield line


def usage(stats: Mapping[str, Any]) -> Usage:
    """From GET /containers/ID/stats with two readings in it. Cores are counted as `docker stats` counts them."""
    now, before = stats["cpu_stats"], stats.get("precpu_stats") or {}
    used = now["cpu_usage"]["total_usage"] - before.get("cpu_usage", {}).get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cores = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or ()) or 1
    memory = stats.get("memory_stats") or {}
    networks = (stats.get("networks") or {}).values()
    return Usage(
        cpus=max(0.0, used / passed * cores) if passed > 0 else 0.0,
        memory=max(0, memory.get("usage", 0) - _cache(memory.get("stats") or {})),
        memory_limit=memory.get("limit", 0),
        net_rx=sum(n["rx_bytes"] for n in networks),
        net_tx=sum(n["tx_bytes"] for n in networks),
        processes=(stats.get("pids_stats") or {}).get("current", 0),
    )


def _cache(stats: Mapping[str, int]) -> int:
    """Files that the kernel may let go of: cgroup v1's name for it, then v2's."""
    return stats.get("total_inactive_file", stats.get("inactive_file", 0))


async def _lines(response: ClientResponse, *, tty: bool) -> AsyncIterator[LogLine]:
    """Each frame is a line with its time, or a part of a long one, with a time of its own."""
    parts: dict[str, LogLine] = {}
    frames = _terminal_lines(response.content) if tty else _frames(response.content)
    async for stream, frame in frames:
        line = _joined(parts.pop(stream, None), _line(stream, frame))
        if frame.endswith(b"\n"):
            yield line
        else:
            parts[stream] = line
    for line in parts.values():
        yield line


def _joined(first: LogLine | None, then: LogLine) -> LogLine:
    return then if first is None else replace(first, text=first.text + then.text)


async def _frames(content: StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """Raises EngineError for what the engine itself says among them: it cannot read on, as after a power cut."""
    while True:
        try:
            kind, length = _HEADER.unpack(await content.readexactly(_HEADER.size))
            frame = await content.readexactly(length)
            if kind == _ENGINE:
                raise EngineError(frame.decode(errors="replace").strip())
            yield _STREAMS.get(kind, "stdout"), frame
        except asyncio.IncompleteReadError:
            return


async def _terminal_lines(content: StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """A terminal's output has no frames."""
    rest = b""
    async for chunk in content.iter_chunked(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield "stdout", line + b"\n"
    if rest:
        yield "stdout", rest


def _line(stream: str, frame: bytes) -> LogLine:
    time, _, text = frame.partition(b" ")
    return LogLine(stream, time.decode(errors="replace"), text.rstrip(b"\r\n").decode(errors="replace"))
