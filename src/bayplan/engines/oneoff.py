"""A container of its own for one command, on this process's terminal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from bayplan.engines.attach import both_ways, give_terminal
from bayplan.engines.client import QUICK, Client, asking
from bayplan.engines.hold import hang_up


def attachable(body: Mapping[str, Any], *, tty: bool, stdin: bool) -> dict[str, Any]:
    """The body of a request for a container, for one that its engine removes when it ends."""
    streams = {"Tty": tty, "OpenStdin": stdin, "StdinOnce": stdin, "AttachStdin": stdin}
    streams |= {"AttachStdout": True, "AttachStderr": True}
    return {**body, **streams, "HostConfig": {**body["HostConfig"], "AutoRemove": True}}


async def attached(client: Client, made: str, *, tty: bool, stdin: bool) -> int:
    """Start the one of that id, with this process's standard streams as its own; its exit status.

    Raises BrokenPipeError when nobody reads what it says any more.
    """
    import aiohttp

    docker = await client.docker()
    one = docker.containers.container(made)
    stream = one.attach(stdin=stdin, stdout=True, stderr=True)
    waiting = aiohttp.ClientTimeout(sock_connect=QUICK)
    with client.translating():
        # Asked before it starts: once it is removed, nobody can tell its status.
        removed = asking(docker, f"containers/{made}/wait", "POST", params={"condition": "removed"}, timeout=waiting)
        async with removed as ending:
            try:
                await stream._init()  # noqa: SLF001  attached before it starts: nothing that it says is lost
                await one.start()
                with ExitStack() as undo:
                    if tty:
                        await give_terminal(client, one.resize, undo, stdin=stdin)
                    is_read = await both_ways(stream, stdin=stdin)
            finally:
                hang_up(stream)
            if is_read:
                return int((await ending.json(content_type=None))["StatusCode"])
    raise BrokenPipeError
