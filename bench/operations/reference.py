"""A balancer as one would write it by hand: the same HAProxy image on the same host, over the same endpoints."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.operations.engine_api import Engine

NAME = "bench-reference"
PORT = 8081

CONFIG = """\
global
    maxconn 4000

defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-request 10s
    option forwardfor
    option redispatch
    retries 3

frontend web
    bind {address}:{port}
    http-request set-header X-Forwarded-Proto http
    default_backend replicas

backend replicas
    balance roundrobin
    option httpchk GET /
    default-server check inter 1s
{servers}
"""


@contextmanager
def reference(socket: Path, image: str, address: str, endpoints: Sequence[str]) -> Iterator[str]:
    """Its URL while it runs on the engine of that socket. endpoints: address:port of each replica."""
    servers = "\n".join(f"    server s{number} {endpoint}" for number, endpoint in enumerate(endpoints, 1))
    config = CONFIG.format(address=address, port=PORT, servers=servers)
    try:
        asyncio.run(_start(socket, image, config))
        yield f"http://{address}:{PORT}/"
    finally:
        asyncio.run(_remove(socket))


async def _start(socket: Path, image: str, config: str) -> None:
    body = {"Image": image, "Cmd": ["haproxy", "-f", "/haproxy.cfg"], "HostConfig": {"NetworkMode": "host"}}
    async with Engine(socket) as engine:
        made = await engine.call("POST", f"/containers/create?name={NAME}", json.dumps(body))
        path = f"/containers/{made['Id']}"
        await engine.call("PUT", f"{path}/archive?path=/", _packed("haproxy.cfg", config), "application/x-tar")
        await engine.call("POST", f"{path}/start")


async def _remove(socket: Path) -> None:
    async with Engine(socket) as engine:
        await engine.remove(NAME)


def _packed(name: str, text: str) -> bytes:
    content, packed = text.encode(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
