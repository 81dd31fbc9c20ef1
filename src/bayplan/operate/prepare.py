"""An app's images, made and kept, while the fleet's own registry is looked after: one that ends is started again.

The engine that pushes to it tries again for a minute, and finds it. One that finds nobody to begin with does not: then
all is asked for once more, and what was built is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from bayplan import images
from bayplan.errors import BayplanError
from bayplan.operate.events import ImageEvent, OnEvent
from bayplan.ports import Clock, Engine, FleetPorts, Registry, Transfer
from bayplan.spec.model import App

_PAUSE = 5.0  # seconds from one look at a registry that fails to the next
_A_MOMENT, _PATIENCE = 0.5, 10.0  # seconds between questions to one that was started, and in which it is to answer


async def prepared(
    ports: FleetPorts,
    app: App,
    builder: Engine,
    on: OnEvent,
    mend: Callable[[], Awaitable[object]],
    *,
    force_build: bool,
    pull: bool,
    secrets: Mapping[str, bytes],
    only: frozenset[str] | None = None,
) -> App:
    """As `images.prepare`. mend: has the registry run that is to run."""
    fails = asyncio.Event()

    def tell(service: str, transfer: Transfer) -> None:
        if transfer.again:
            fails.set()
        on(ImageEvent(service, transfer, done=transfer.status == "pinned"))

    async def prepare() -> App:
        return await images.prepare(
            app, builder, ports.registry, tell, force_build=force_build, pull=pull, only=only, secrets=secrets
        )

    if ports.registry is None or ports.fleet.registry is None or ports.fleet.registry.host is None:
        return await prepare()
    async with _looked_after(fails, mend, ports.clock):
        try:
            return await prepare()
        except BayplanError:
            if await _answers(ports.registry):
                raise
        with suppress(BayplanError):
            await mend()
        await _until_it_answers(ports.registry, ports.clock)
        return await prepare()


async def _answers(registry: Registry) -> bool:
    try:
        await registry.ping()
    except BayplanError:
        return False
    return True


async def _until_it_answers(registry: Registry, clock: Clock) -> None:
    """Or for as long as one takes that has just started."""
    last = clock.now() + _PATIENCE
    while not await _answers(registry) and clock.now() < last:
        await clock.sleep(_A_MOMENT)


@asynccontextmanager
async def _looked_after(
    fails: asyncio.Event, mend: Callable[[], Awaitable[object]], clock: Clock
) -> AsyncIterator[None]:
    async def look_after() -> None:
        while await fails.wait():
            fails.clear()
            with suppress(BayplanError):  # the push tells what is wrong
                await mend()
            await clock.sleep(_PAUSE)

    watching = asyncio.create_task(look_after())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
