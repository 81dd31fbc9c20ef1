"""The bare Engine API: the least that any tool has to do to start containers, and nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp

T = TypeVar("T")
DEADLINE = aiohttp.ClientTimeout(total=120)


class EngineError(Exception):
    """The engine's own words."""


@dataclass(frozen=True, slots=True)
class Body:
    """A container as `POST /containers/create` takes it."""

    name: str
    image: str
    json: str


class Engine:
    """One engine by its UNIX socket, over connections that stay open."""

    def __init__(self, socket: Path, connections: int = 32) -> None:
        connector = aiohttp.UnixConnector(str(socket), limit=connections)
        self._session = aiohttp.ClientSession("http://engine", connector=connector, timeout=DEADLINE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(
        self, method: str, path: str, body: bytes | str | None = None, content: str = "application/json"
    ) -> Any:
        """The answer's JSON, None if it has none. Raises EngineError."""
        headers = {"Content-Type": content} if body is not None else {}
        async with self._session.request(method, path, data=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise EngineError(f"{method} {path}: {answer.status} {text.strip()}")
        return json.loads(text) if text.startswith(("{", "[")) else None

    async def replicas(self, app: str) -> list[dict[str, Any]]:
        """Containers of the app that run."""
        filters = quote(json.dumps({"label": [f"bayplan.app={app}", "bayplan.role=replica"]}))
        listed: list[dict[str, Any]] = await self.call("GET", f"/containers/json?filters={filters}")
        return listed

    async def body(self, container: str) -> Body:
        """The body that would make this container again."""
        seen = await self.call("GET", f"/containers/{container}/json")
        networks = {
            name: {"Aliases": [a for a in net.get("Aliases") or [] if not seen["Id"].startswith(a)]}
            for name, net in seen["NetworkSettings"]["Networks"].items()
        }
        whole = {**seen["Config"], "HostConfig": seen["HostConfig"], "NetworkingConfig": {"EndpointsConfig": networks}}
        return Body(seen["Name"].removeprefix("/"), seen["Config"]["Image"], json.dumps(whole))

    async def times(self, container: str) -> tuple[float, float]:
        """When it was created and when it was started last, in seconds since 1970."""
        seen = await self.call("GET", f"/containers/{container}/json")
        return _when(seen["Created"]), _when(seen["State"]["StartedAt"])

    async def create_and_start(self, body: Body) -> None:
        made = await self.call("POST", f"/containers/create?name={body.name}", body.json)
        await self.call("POST", f"/containers/{made['Id']}/start")

    async def remove(self, name: str) -> None:
        await self.call("DELETE", f"/containers/{name}?force=1&v=1")


Sockets = Mapping[str, Path]
Bodies = Mapping[str, Sequence[Body]]


def capture(sockets: Sockets, app: str, without: Iterable[str] = ()) -> dict[str, list[Body]]:
    """By host, the bodies of the app's containers that run but for those named."""

    async def of(socket: Path) -> list[Body]:
        async with Engine(socket) as engine:
            names = [c["Names"][0].removeprefix("/") for c in await engine.replicas(app)]
            return [await engine.body(name) for name in sorted(set(names) - set(without))]

    return asyncio.run(_each(sockets, of))


def running(sockets: Sockets, app: str) -> set[str]:
    """Names of the app's containers that run."""

    async def of(socket: Path) -> list[str]:
        async with Engine(socket) as engine:
            return [c["Names"][0].removeprefix("/") for c in await engine.replicas(app)]

    return {name for names in asyncio.run(_each(sockets, of)).values() for name in names}


def made_since(sockets: Sockets, app: str, moment: float) -> tuple[float, float]:
    """When the first of the app's containers that were made since then was created, and the last of them started."""

    async def of(socket: Path) -> list[tuple[float, float]]:
        async with Engine(socket) as engine:
            return [await engine.times(c["Id"]) for c in await engine.replicas(app)]

    seen = [times for many in asyncio.run(_each(sockets, of)).values() for times in many if times[0] >= moment]
    return min(created for created, _ in seen), max(started for _, started in seen)


def replay(sockets: Sockets, bodies: Bodies, at_once: int) -> float:
    """Seconds to create and start these containers, at_once of them on each host; they are removed afterwards."""
    return asyncio.run(_replay(sockets, bodies, at_once))


async def _replay(sockets: Sockets, bodies: Bodies, at_once: int) -> float:
    engines = {host: Engine(socket) for host, socket in sockets.items()}
    try:
        await asyncio.gather(*(e.call("GET", "/_ping") for e in engines.values()))
        begun = time.perf_counter()
        lanes = {host: asyncio.Semaphore(at_once) for host in engines}
        made = [_one(engines[host], lanes[host], body) for host, many in bodies.items() for body in many]
        told = await asyncio.gather(*made, return_exceptions=True)
        took = time.perf_counter() - begun
        gone = [engines[host].remove(body.name) for host, many in bodies.items() for body in many]
        await asyncio.gather(*gone, return_exceptions=True)
    finally:
        await asyncio.gather(*(e.__aexit__(None, None, None) for e in engines.values()))
    for failed in (t for t in told if isinstance(t, BaseException)):
        raise failed
    return took


async def _one(engine: Engine, lane: asyncio.Semaphore, body: Body) -> None:
    async with lane:
        await engine.create_and_start(body)


def _when(told: str) -> float:
    """`2026-11-28T17:13:42.123456789Z`; an engine leaves out zeros at the end."""
    return datetime.fromisoformat(f"{told[:26].rstrip('Z')}+00:00").timestamp()


async def _each(sockets: Sockets, of: Callable[[Path], Awaitable[T]]) -> dict[str, T]:
    found = await asyncio.gather(*(of(s) for s in sockets.values()))
    return dict(zip(sockets, found, strict=True))
