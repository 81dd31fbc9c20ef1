"""Where an app's images are kept, so that hosts can run them: the fleet's registry, or the one engine there is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bayplan.errors import ImageError
from bayplan.image_config import ImageConfig
from bayplan.images.context import content_tag
from bayplan.ports import Engine, OnTransfer, Registry
from bayplan.spec.image_name import Reference, built, copied, parse
from bayplan.spec.model import Build, Service

LOCAL = "bayplan"  # what the names of images that are built for one local engine start with


@dataclass(frozen=True, slots=True)
class Wanted:
    """One service's image. name: what it is called where it is kept, without a registry's prefix, with its tag.

    source: the name of somebody's image, or what to build; None: it is kept already, or nowhere.
    """

    service: str
    name: str
    source: str | Build | None


class Place(Protocol):
    """One way to keep images. Pins are names that every host can run, and that never mean anything else."""

    def wanted(self, app: str, service: Service) -> Wanted:
        """What a service needs. Reads its build context. Raises ImageError."""

    def called(self, wanted: Wanted) -> str:
        """Its whole name there."""

    async def find(self, wanted: Wanted) -> str | None:
        """The pin of what is kept already."""

    async def keep(self, wanted: Wanted, on: OnTransfer) -> str:
        """Keep what the engine has by its whole name; the pin."""

    async def config(self, pin: str) -> ImageConfig:
        """What a kept image says of itself."""


class InRegistry:
    """Copied to the fleet's registry: pinned by digest; a release depends on no other registry."""

    def __init__(self, registry: Registry, builder: Engine) -> None:
        self._registry, self._builder = registry, builder

    def wanted(self, app: str, service: Service) -> Wanted:
        if service.build:
            return Wanted(service.name, f"{built(app, service.name)}:{content_tag(service.build)}", service.build)
        image, ours = _parsed(service), f"{self._registry.prefix}/"
        if service.image.startswith(ours):
            tag = f"@{image.digest}" if image.digest else f":{image.tag}"
            return Wanted(service.name, f"{image.domain}/{image.path}".removeprefix(ours) + tag, None)
        repository, tag = copied(app, image)
        return Wanted(service.name, f"{repository}:{tag}", service.image)

    def called(self, wanted: Wanted) -> str:
        return f"{self._registry.prefix}/{wanted.name}"

    async def find(self, wanted: Wanted) -> str | None:
        if "@" in wanted.name:
            return self.called(wanted)
        repository, _, tag = wanted.name.rpartition(":")
        digest = await self._registry.digest(repository, tag)
        return f"{self._registry.prefix}/{repository}@{digest}" if digest else None

    async def keep(self, wanted: Wanted, on: OnTransfer) -> str:
        login = await asyncio.to_thread(lambda: self._registry.login)
        repository, _, _ = wanted.name.rpartition(":")
        try:
            digest = await self._builder.push(self.called(wanted), on, login)
        except ImageError as refused:
            if not refused.todo:  # the engine tells no more than the number of the answer
                await self._registry.takes(repository)
            raise
        return f"{self._registry.prefix}/{repository}@{digest}"

    async def config(self, pin: str) -> ImageConfig:
        repository, _, digest = pin.removeprefix(f"{self._registry.prefix}/").partition("@")
        return await self._registry.image_config(repository, digest)


class OnEngine:
    """Left where it is built: one local engine, no registry; pinned by the image's id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def wanted(self, app: str, service: Service) -> Wanted:
        if service.build:
            name = f"{LOCAL}/{built(app, service.name)}:{content_tag(service.build)}"
            return Wanted(service.name, name, service.build)
        _parsed(service)
        return Wanted(service.name, service.image, service.image)

    def called(self, wanted: Wanted) -> str:
        return wanted.name

    async def find(self, wanted: Wanted) -> str | None:
        return await self._engine.image_id(wanted.name)

    async def keep(self, wanted: Wanted, on: OnTransfer) -> str:
        del on
        pin = await self.find(wanted)
        if pin is None:
            raise ImageError(f"{wanted.name} was removed while it was being used", todo="run it again")
        return pin

    async def config(self, pin: str) -> ImageConfig:
        return await self._engine.image_config(pin)


def place_for(registry: Registry | None, builder: Engine) -> Place:
    """The registry if the fleet has one."""
    return InRegistry(registry, builder) if registry else OnEngine(builder)


def shared(wanted: Mapping[str, Wanted]) -> list[list[Wanted]]:
    """Wanted images by what they are made from: each is built, or fetched, once."""
    groups: dict[object, list[Wanted]] = {}
    for image in wanted.values():
        tag = image.name.rpartition(":")[2]
        groups.setdefault(tag if isinstance(image.source, Build) else image.source, []).append(image)
    return list(groups.values())


def _parsed(service: Service) -> Reference:
    try:
        return parse(service.image)
    except ValueError as wrong:
        raise ImageError(str(wrong), todo="image: name, name:tag or name@digest") from wrong
