"""Building images: with BuildKit where a Docker CLI here can drive it, else with the engine's own builder."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from bayplan.engines import buildkit
from bayplan.engines.client import IDLE, Client, Patience, asking, endless, in_thread, patient
from bayplan.engines.dockerfile import needs_buildkit
from bayplan.engines.images import KEPT_LINES, Event, failed, transfer
from bayplan.engines.options_body import extra_hosts, ulimits
from bayplan.errors import EngineError, HostUnreachableError, ImageError
from bayplan.ports import BuildRequest, OnTransfer, Transfer
from bayplan.spec.architecture import arch_of, kernels_name
from bayplan.terminal_text import left_on_screen
from bayplan.units import parse_api

_LIMITED = (1, 42)  # the API of Docker 23, the first whose BuildKit (0.9 and newer) limits the steps of a build


async def build(client: Client, request: BuildRequest, on: OnTransfer) -> str:
    """The new image's id. Raises ImageError with the build's last lines."""
    own = replace(request, platform="") if await _is_own(client, request.platform) else request
    why = needs_buildkit(own)
    if not why:
        return await _classic(client, request, on)
    builder = await buildkit.find()
    if builder is None:
        raise ImageError(
            f"the build needs BuildKit ({why}), and there is no Docker CLI with it on this machine",
            where=request.dockerfile,
            todo="install one (apt install docker-cli docker-buildx, or docker.io up to version 20.10), or do without",
        )
    address = await client.address()
    if (request.shm_size or request.ulimits) and parse_api(client.api) < _LIMITED:
        async with client.calling() as docker:
            version = (await docker.system.info())["ServerVersion"]
        raise ImageError(
            f"the build needs BuildKit ({why}), and that of Docker {version} heeds no shm_size and no ulimits",
            where=client.host,
            todo="use Docker 23 or newer there, or do without one of them",
        )
    return await buildkit.build(builder, address, request, on, client.host)


async def _is_own(client: Client, platform: str) -> bool:
    """Whether the engine builds for it anyhow."""
    if not platform:
        return True
    async with client.calling() as docker:
        return bool((await docker.system.info()).get("Architecture") == kernels_name(arch_of(platform)))


async def _classic(client: Client, request: BuildRequest, on: OnTransfer) -> str:
    """The builder that every engine has within."""
    said: deque[str] = deque(maxlen=KEPT_LINES)
    image, sending = "", _Sending(request.context)
    try:
        docker = await client.docker()
        with client.translating():
            async for event in patient(_events(docker, request, sending.pieces()), sending.patience):
                image = (event.get("aux") or {}).get("ID", image)
                _tell(event, on, said)
    except TimeoutError as late:
        raise ImageError(f"the build stood still for {IDLE:g} s", where=client.host) from late
    except HostUnreachableError:
        if sending.refused:
            raise sending.refused from None
        raise
    except EngineError as error:
        raise failed(request, error.what, said) from error
    if not image:
        raise failed(request, "the connection broke before the build ended", said)
    return image


class _Sending:
    """A context on its way to the engine. refused: what this machine could not read of it; the library takes that for
    a connection that broke.
    """

    def __init__(self, context: Iterable[bytes]) -> None:
        self.patience = Patience()
        self.refused: ImageError | None = None
        self._context = context

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in in_thread(self._context):
                yield piece
                self.patience.moved()
        except ImageError as refused:
            self.refused = refused
            raise


async def _events(docker: Any, request: BuildRequest, context: AsyncIterator[bytes]) -> Any:
    """The library's own build() has no target; this is its request with one."""
    from aiodocker.jsonstream import json_stream_stream

    hosts = urlencode([("extrahosts", entry) for entry in extra_hosts(request.extra_hosts)])
    async with asking(
        docker,
        f"build?{hosts}" if hosts else "build",  # one key several times, which params cannot have
        "POST",
        params=_params(request),
        data=context,
        headers={"Content-Type": "application/x-tar"},
        timeout=endless(),
    ) as response:
        async for event in json_stream_stream(response):
            yield event


def _params(request: BuildRequest) -> dict[str, Any]:
    import json

    return {
        "t": request.tag,
        "dockerfile": request.dockerfile,
        "buildargs": json.dumps(dict(request.args)),
        "labels": json.dumps(dict(request.labels)),
        "nocache": request.no_cache,
        "pull": request.pull,
        "rm": True,
        "forcerm": True,
        **({"target": request.target} if request.target else {}),
        **_surroundings(request),
    }


def _surroundings(request: BuildRequest) -> dict[str, Any]:
    """What is set of where the steps run (Docker Engine API, "ImageBuild")."""
    found = {
        "networkmode": request.network,
        "shmsize": request.shm_size,
        "ulimits": ulimits(request.ulimits),
        "cachefrom": list(request.cache_from),
    }
    return {key: value for key, value in found.items() if value}


def _tell(event: Event, on: OnTransfer, said: deque[str]) -> None:
    if event.get("progressDetail") or (event.get("id") and event.get("status")):  # of a layer of the base image
        on(transfer(event))
        return
    text = str(event.get("stream", "") or event.get("status", ""))
    for line in left_on_screen(text):
        said.append(line)
        on(Transfer(status="build", text=line))
