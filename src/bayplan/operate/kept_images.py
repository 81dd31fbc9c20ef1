"""What the fleet keeps of images, which `image ls` lists: in its registry, and which hosts start it without a pull."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from bayplan.errors import BayplanError, NoHostError
from bayplan.images.place import LOCAL
from bayplan.ports import Engine, Registry, Stored

AT_ONCE = 16  # requests to a registry


@dataclass(frozen=True, slots=True)
class Listed:
    """One image. size: bytes of its compressed layers, None where only an engine has it; hosts: which have it."""

    repository: str
    tag: str
    digest: str
    size: int | None
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """All of them, by name. unknown: hosts that did not answer, and why: what they have is not known."""

    images: tuple[Listed, ...]
    unknown: Mapping[str, str]


async def list_images(registry: Registry | None, engines: Mapping[str, Engine]) -> Listing:
    """The registry's images, or without one what was built for the engine. Raises RegistryError, NoHostError."""
    (there, unknown), stored = await asyncio.gather(_on_hosts(engines), _stored(registry))
    if registry is None:
        if not there:
            told = "\n  ".join(f"{host}: {why}" for host, why in unknown.items())
            raise NoHostError("no host of the fleet answers", todo=f"{told}\n  bayplan doctor looks closer")
        return Listing(tuple(await _built(there, engines)), unknown)
    images = []
    for (repository, tag), image in sorted(stored.items()):
        names = {f"{registry.prefix}/{repository}@{image.digest}", f"{registry.prefix}/{repository}:{tag}"}
        hosts = tuple(host for host, has in there.items() if names & has)
        images.append(Listed(repository, tag, image.digest, image.size, hosts))
    return Listing(tuple(images), unknown)


async def _on_hosts(engines: Mapping[str, Engine]) -> tuple[dict[str, frozenset[str]], dict[str, str]]:
    """(names of images by host, why a host did not answer by host)."""
    there: dict[str, frozenset[str]] = {}
    unknown: dict[str, str] = {}

    async def ask(host: str, engine: Engine) -> None:
        try:
            there[host] = await engine.images()
        except BayplanError as error:
            unknown[host] = error.what

    await asyncio.gather(*(ask(host, engine) for host, engine in engines.items()))
    return {h: there[h] for h in engines if h in there}, unknown


async def _stored(registry: Registry | None) -> dict[tuple[str, str], Stored]:
    """Images by repository and tag; releases are documents, and left out."""
    if registry is None:
        return {}
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(repository: str, tag: str) -> tuple[tuple[str, str], Stored | None]:
        async with turns:
            return (repository, tag), await registry.stored(repository, tag)

    found = await asyncio.gather(*(ask(r.name, tag) for r in await registry.repositories() for tag in r.tags))
    return {name: image for name, image in found if image and image.is_image}


async def _built(there: Mapping[str, frozenset[str]], engines: Mapping[str, Engine]) -> list[Listed]:
    listed = []
    for host, names in there.items():
        for name in sorted(n for n in names if n.startswith(f"{LOCAL}/") and "@" not in n):
            repository, _, tag = name.rpartition(":")
            listed.append(Listed(repository, tag, await engines[host].image_id(name) or "", None, (host,)))
    return listed
