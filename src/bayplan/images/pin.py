"""Pinning: an app whose every image is one that exists, by a name that can mean nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from bayplan.errors import BayplanError, EngineError, ImageError
from bayplan.image_config import ImageConfig
from bayplan.images.context import pack
from bayplan.images.login import login_for
from bayplan.images.place import Place, Wanted, place_for, shared
from bayplan.ports import BuildRequest, Engine, OnTransfer, Registry, Transfer
from bayplan.spec.model import App, Build, Service
from bayplan.spec.storage import Grant

T = TypeVar("T")
OnImage = Callable[[str, Transfer], None]  # told of a service's image; the last has status "pinned" and the pin as text

AT_ONCE = 3  # builds and copies: they share one engine's disk


async def prepare(
    app: App,
    builder: Engine,
    registry: Registry | None,
    on: OnImage,
    *,
    force_build: bool = False,
    pull: bool = False,
    only: frozenset[str] | None = None,
    secrets: Mapping[str, bytes] = MappingProxyType({}),
) -> App:
    """The app with its images pinned: what is missing is built on `builder`, or fetched by it, and pushed.

    A build is looked up by its content; an image by its tag, once found, stays what it was (Compose's `pull_policy:
    missing`) until `pull`. only: the other services are left as they are. secrets: values, by the name that builds have
    them by. With everything there: a request a service.
    Raises ImageError, RegistryError; several failures are told in one.
    """
    place = place_for(registry, builder)
    wanted = await _wanted(app, place, only)
    afresh = frozenset(n for n, w in wanted.items() if _is_made_anew(w, app.services[n], force_build, pull))
    found = await _all([_unless(n in afresh, place, w) for n, w in wanted.items()])
    pins = {name: pin for name, pin in zip(wanted, found, strict=True) if pin}
    maker = _Maker(place, builder, registry, on, afresh, secrets, pull=pull)
    missing = {n: w for n, w in wanted.items() if n not in pins}
    made = await _all([maker.make(group) for group in shared(missing)])
    return _pinned(app, pins | {name: pin for group in made for name, pin in group.items()})


async def known_pins(
    app: App, builder: Engine, registry: Registry | None, *, is_empty: bool = False
) -> tuple[App, tuple[str, ...]]:
    """The app with the pins that it would have, and the services whose image would be made first.

    Those have the name that their image will have. is_empty: the registry is not there yet. Raises ImageError,
    RegistryError.
    """
    place = place_for(registry, builder)
    wanted = await _wanted(app, place, None)
    found = dict(zip(wanted, await _all([_unless(is_empty, place, w) for w in wanted.values()]), strict=True))
    pins = {name: pin or place.called(wanted[name]) for name, pin in found.items()}
    return _pinned(app, pins), tuple(name for name, pin in found.items() if pin is None)


async def described(app: App, before: App | None, builder: Engine, registry: Registry | None) -> App:
    """The pinned app, its services with what their images say of themselves.

    before: of an image that it has, too, that is known. Raises RegistryError, EngineError.
    """
    place = place_for(registry, builder)
    known = {
        s.image: ImageConfig(s.listens, s.image_healthcheck, s.image_architectures)
        for s in (before.services.values() if before else ())
        if s.image_healthcheck is not None  # of a release from before they had it
    }
    asked = sorted({s.image for s in app.services.values() if s.image and not s.external} - set(known))
    known |= dict(zip(asked, await _all([place.config(image) for image in asked]), strict=True))
    services = {name: _with_config(service, known.get(service.image)) for name, service in app.services.items()}
    return app.model_copy(update={"services": services})


def _with_config(service: Service, config: ImageConfig | None) -> Service:
    if config is None:
        return service
    said = {
        "listens": config.ports,
        "image_healthcheck": config.healthcheck,
        "image_architectures": config.architectures,
    }
    return service.model_copy(update=said)


class _Maker:
    """Makes images on one engine, a few at once."""

    def __init__(
        self,
        place: Place,
        builder: Engine,
        registry: Registry | None,
        on: OnImage,
        afresh: frozenset[str],
        secrets: Mapping[str, bytes],
        *,
        pull: bool,
    ) -> None:
        self._place, self._builder, self._registry, self._on = place, builder, registry, on
        self._afresh, self._secrets, self._pull = afresh, secrets, pull
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._pushing = asyncio.Lock()  # the second finds the layers of the first, and sends what differs

    async def make(self, group: list[Wanted]) -> dict[str, str]:
        """Build or fetch once, keep under each service's name; the pins."""
        first = group[0]
        pins: dict[str, str] = {}
        async with self._turns:
            try:
                afresh = any(w.service in self._afresh for w in group)
                here = await self._obtain(first, partial(self._on, first.service), afresh=afresh)
                for wanted in group:
                    pins[wanted.name] = pins.get(wanted.name) or await self._keep(here, wanted)
            except (ImageError, EngineError) as error:
                raise ImageError(error.what, where=_where(group), todo=error.todo) from error
        return {w.service: self._told(w.service, pins[w.name]) for w in group}

    async def _obtain(self, wanted: Wanted, on: OnTransfer, *, afresh: bool) -> str:
        """Have it on the engine; by which name."""
        match wanted.source:
            case Build():
                await self._builder.build(await self._request(wanted, wanted.source), on)
                made = self._place.called(wanted)
                for tag in wanted.source.tags:
                    await self._builder.tag(made, tag)
                return made
            case str():
                if afresh or await self._builder.image_id(wanted.source) is None:
                    on(Transfer(status="pull", text=f"fetching {wanted.source}"))
                    moved = partial(self._layer, wanted.service)
                    await self._builder.pull(wanted.source, moved, await login_for(wanted.source, self._registry))
                return wanted.source
            case None:
                raise ImageError(
                    f"there is no image {self._place.called(wanted)} in the fleet's registry",
                    todo="check its name and tag: bayplan image ls",
                )

    async def _request(self, wanted: Wanted, build: Build) -> BuildRequest:
        packed = await asyncio.to_thread(pack, build)
        return BuildRequest(
            context=packed.pieces,
            tag=self._place.called(wanted),
            dockerfile=packed.dockerfile,
            instructions=packed.instructions,
            args=build.args,
            labels=build.labels,
            target=build.target,
            no_cache=build.no_cache,
            pull=build.pull or self._pull,
            extra_hosts=build.extra_hosts,
            network=build.network,
            shm_size=build.shm_size,
            ulimits=build.ulimits,
            cache_from=build.cache_from,
            secrets={grant.target: self._value(grant) for grant in build.secrets},
            ssh=build.ssh,
            platform=next(iter(build.platforms), ""),
        )

    def _value(self, grant: Grant) -> bytes:
        if grant.source not in self._secrets:
            raise ImageError(
                f"the build needs the secret {grant.source}, and its value is not known here",
                todo=f"give it where the image is built: secrets: {{{grant.source}: {{file: …}}}}, or environment",
            )
        return self._secrets[grant.source]

    async def _keep(self, here: str, wanted: Wanted) -> str:
        name = self._place.called(wanted)
        if name != here:
            await self._builder.tag(here, name)
        async with self._pushing:
            return await self._place.keep(wanted, partial(self._layer, wanted.service))

    def _layer(self, service: str, transfer: Transfer) -> None:
        """Of a transfer, people care for the layers; the rest repeats what they are told anyhow."""
        if transfer.layer:
            self._on(service, transfer)

    def _told(self, service: str, pin: str) -> str:
        self._on(service, Transfer(status="pinned", text=pin))
        return pin


async def _wanted(app: App, place: Place, only: frozenset[str] | None) -> dict[str, Wanted]:
    services = [s for s in app.services.values() if (only is None or s.name in only) and not s.external]
    found = await _all([asyncio.to_thread(_one, place, app.name, service) for service in services])
    return {w.service: w for w in found}


def _one(place: Place, app: str, service: Service) -> Wanted:
    try:
        return place.wanted(app, service)
    except ImageError as error:
        where = f"service {service.name}" + (f", {error.where}" if error.where else "")
        raise ImageError(error.what, where=where, todo=error.todo) from error


def _is_made_anew(wanted: Wanted, service: Service, build: bool, pull: bool) -> bool:
    """Though it is there: by `pull_policy`, each time. build: what is built; pull: what others published."""
    if isinstance(wanted.source, Build):
        return build or service.pull_policy == "build"
    return wanted.source is not None and (pull or service.pull_policy == "always")


async def _unless(skip: bool, place: Place, wanted: Wanted) -> str | None:
    return None if skip else await place.find(wanted)


def _pinned(app: App, pins: dict[str, str]) -> App:
    """Where it was built from is the operator's affair, and not the release's."""
    services = {
        name: service.model_copy(update={"image": pins[name], "build": None}) if name in pins else service
        for name, service in app.services.items()
    }
    used = {g.source for s in services.values() for g in (*s.secrets, *(s.build.secrets if s.build else ()))}
    secrets = {name: secret for name, secret in app.secrets.items() if name in used}
    return app.model_copy(update={"services": services, "secrets": secrets})


def _where(group: list[Wanted]) -> str:
    names = ", ".join(w.service for w in group)
    return f"service {names}" if len(group) == 1 else f"services {names}"


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    """Everything at once; every failure told."""
    done = await asyncio.gather(*work, return_exceptions=True)
    failed = [d for d in done if isinstance(d, BaseException)]
    strange = next((f for f in failed if not isinstance(f, BayplanError)), None)
    if strange or len(failed) == 1:
        raise strange or failed[0]
    if failed:
        told = list(dict.fromkeys(str(f) for f in failed))
        if len(told) == 1:
            raise failed[0]
        raise ImageError("\n".join(told)) from failed[0]
    return [d for d in done if not isinstance(d, BaseException)]
