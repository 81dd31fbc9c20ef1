"""Images on an engine: names, pull, push, tag."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from bayplan.engines.client import IDLE, Client, patient
from bayplan.engines.faults import NOT_FOUND
from bayplan.errors import EngineError, ImageError
from bayplan.ports import BuildRequest, Credentials, OnTransfer, Transfer
from bayplan.trust import how_to_trust

KEPT_LINES = 25  # of a failed build's output

_AGAIN = re.compile(r"Retrying in (\d+) seconds?")
_PUSHED = re.compile(r": digest: (\S+:[0-9a-f]+) size: \d+$")

# What engines make of a registry's 429 and 503. None tries a pull again, or a push after a 429.
_BUSY = re.compile(r"too ?many ?requests|\bHTTP 429\b|\b503 service unavailable", re.IGNORECASE)
_USED_UP = "pull rate limit"  # Docker Hub's, of some hours
_PAUSE, _PATIENCE = 1.0, 30.0  # seconds before the second try, and from the first one to the last

Event = Mapping[str, Any]  # one JSON object of a progress stream
T = TypeVar("T")


def names(listed: Iterable[Event]) -> frozenset[str]:
    """From GET /images/json: `repo:tag`, `repo@digest`, `sha256:id`."""
    found: set[str] = set()
    for image in listed:
        found.add(image["Id"])
        found.update(
            n for n in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())) if "<none>" not in n
        )
    return frozenset(found)


def transfer(event: Event) -> Transfer:
    """One event of a pull's or push's stream."""
    detail = event.get("progressDetail") or {}
    status = str(event.get("status", ""))
    layer = "" if status.startswith("Pulling from") else str(event.get("id", ""))  # that one's id is the tag
    return Transfer(
        layer=layer,
        status=status,
        done=int(detail.get("current") or 0),
        total=int(detail.get("total") or 0),
        text="" if layer else status,
        again=int(counted[1]) if (counted := _AGAIN.fullmatch(status)) else 0,
    )


def _login(credentials: Credentials | None) -> dict[str, str] | None:
    """As the library has it (Docker Engine API, "Authentication")."""
    if credentials is None:
        return None
    return {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": credentials.server,
    }


async def pull(client: Client, image: str, on: OnTransfer, credentials: Credentials | None) -> None:
    """Fetch an image, again and again for a while from a registry that is busy. Raises ImageError."""

    async def fetch() -> None:
        docker = await client.docker()
        with client.translating():
            events = docker.images.pull(image, auth=_login(credentials), stream=True)
            async for event in patient(events):
                on(transfer(event))
            await docker.images.inspect(image)  # the library takes a broken connection for the stream's end

    try:
        await unless_busy(fetch)
    except TimeoutError as late:
        raise ImageError(f"pulling {image} stood still for {IDLE:g} s", where=client.host) from late
    except EngineError as error:
        raise _no_image(image, error, client.host) from error


async def push(client: Client, image: str, on: OnTransfer, credentials: Credentials | None) -> str:
    """Send an image, likewise; the digest that its registry knows it by. Raises ImageError."""

    async def send() -> str:
        digest = ""
        docker = await client.docker()
        with client.translating():
            async for event in patient(docker.images.push(image, auth=_login(credentials), stream=True)):
                digest = pushed(event) or digest
                on(transfer(event))
        return digest

    try:
        digest = await unless_busy(send)
    except TimeoutError as late:
        raise ImageError(f"pushing {image} stood still for {IDLE:g} s", where=client.host) from late
    except EngineError as error:
        said = f"{image} cannot be pushed: {error.what}"
        raise ImageError(said, where=client.host, todo=error.todo or what_to_do(error.what, image)) from error
    if not digest:
        raise ImageError(f"pushing {image} ended before the registry had all of it", where=client.host)
    return digest


async def unless_busy(ask: Callable[[], Awaitable[T]]) -> T:
    """What comes of it, asked again for a while when a registry had too much to do. Raises EngineError."""
    now = asyncio.get_running_loop().time
    pause, last = _PAUSE, now() + _PATIENCE
    while True:
        try:
            return await ask()
        except EngineError as error:
            if not _BUSY.search(error.what) or _USED_UP in error.what or now() + pause > last:
                raise
        await asyncio.sleep(pause)
        pause *= 2


def pushed(event: Event) -> str:
    """The digest, if an event of a push tells it: in words only, where containerd stores the images."""
    said = _PUSHED.search(str(event.get("status", "")))
    return str((event.get("aux") or {}).get("Digest") or (said[1] if said else ""))


def failed(request: BuildRequest, why: str, said: Iterable[str]) -> ImageError:
    """A build's failure, with the last lines of what it said."""
    lines = "".join(f"\n  | {line}" for line in said)
    return ImageError(f"the build of {request.tag} failed: {why}{lines}", todo="docker build would fail the same way")


def _no_image(image: str, error: EngineError, host: str) -> ImageError:
    said = error.what.lower()
    if error.status == NOT_FOUND or "manifest unknown" in said or "not found" in said:
        return ImageError(
            f"there is no image {image}: {error.what}",
            where=host,
            todo="check its name and tag, and that it was pushed",
        )
    return ImageError(
        f"{image} cannot be pulled: {error.what}", where=host, todo=error.todo or what_to_do(error.what, image)
    )


def what_to_do(said: str, image: str) -> str:
    """About an image that its engine could not send or fetch, by what it said; "" is not known."""
    low = said.lower()
    server = image.partition("/")[0]
    if "x509" in low and set(server) & set(".:"):
        return how_to_trust(server)
    if "unauthorized" in low or "denied" in low or "authentication required" in low or "no basic auth" in low:
        return "check registry.username and registry.password_command in fleet.yaml"
    if "unknown blob" in low or "blob unknown" in low:
        return (
            "its registry has lost a part of it: bayplan up --build makes what is built again and sends it, "
            "--pull what others published"
        )
    if "connection refused" in low or "no such host" in low or "timeout" in low:
        return "is the registry up, and can this host reach it? bayplan doctor tells"
    if _BUSY.search(said):
        return "it takes no more requests for now: run it again in a while"
    return ""


def split(name: str) -> tuple[str, str]:
    """ "localhost:5000/shop/web:1" as repository and tag; "latest" if it has none."""
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag or "latest"
