"""A container of its own for one command, on this process's terminal."""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack, suppress
from typing import Any

from bayplan.container import Container
from bayplan.engines.attach import both_ways, give_terminal
from bayplan.engines.body import create_body
from bayplan.engines.client import QUICK, SLOW, Client
from bayplan.engines.hold import hang_up
from bayplan.engines.listing import Engine
from bayplan.errors import BayplanError


async def run(client: Client, container: Container, engine: Engine, *, tty: bool, stdin: bool) -> int:
    """Its exit status. The engine removes it when it ends; cut short, we do."""
    body = _body(container, engine, tty=tty, stdin=stdin)
    creating = asyncio.create_task(_create(client, container.name, body))
    try:
        return await _attached(client, await asyncio.shield(creating), tty=tty, stdin=stdin)
    except BaseException:
        await asyncio.shield(_discard(client, creating, container.stop_grace))
        raise


def _body(container: Container, engine: Engine, *, tty: bool, stdin: bool) -> dict[str, Any]:
    body = create_body(container, cores=engine.cpus, log_driver=engine.log_driver)
    body |= {"Tty": tty, "OpenStdin": stdin, "StdinOnce": stdin, "AttachStdin": stdin}
    body |= {"AttachStdout": True, "AttachStderr": True}
    body["HostConfig"] |= {"AutoRemove": True}
    return body


async def _create(client: Client, name: str, body: dict[str, Any]) -> str:
    async with client.calling(SLOW) as docker:
        return (await docker.containers.create(body, name=name)).id


async def _attached(client: Client, made: str, *, tty: bool, stdin: bool) -> int:
    import aiohttp

    docker = await client.docker()
    one = docker.containers.container(made)
    stream = one.attach(stdin=stdin, stdout=True, stderr=True)
    waiting = aiohttp.ClientTimeout(sock_connect=QUICK)
    with client.translating():
        # Asked before it starts: once it is removed, nobody can tell its status.
        async with docker._query(  # noqa: SLF001
            f"containers/{made}/wait", method="POST", params={"condition": "removed"}, timeout=waiting
        ) as ending:
            try:
                await stream._init()  # noqa: SLF001  attached before it starts: nothing that it says is lost
                await one.start()
                with ExitStack() as undo:
                    if tty:
                        await give_terminal(client, one.resize, undo, stdin=stdin)
                    await both_ways(stream, stdin=stdin)
            finally:
                hang_up(stream)
            return int((await ending.json(content_type=None))["StatusCode"])


async def _discard(client: Client, creating: asyncio.Task[str], grace: float) -> None:
    """It is told to end, as a replica is, and is gone afterwards whether it did or not."""
    with suppress(BayplanError):
        made = await creating
        with suppress(BayplanError):
            async with client.calling(grace + SLOW) as docker:
                await docker.containers.container(made).stop(t=math.ceil(grace))
        async with client.calling(SLOW) as docker:
            await docker.containers.container(made).delete(force=True, v=True)
