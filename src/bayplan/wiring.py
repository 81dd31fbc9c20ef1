"""The one place that chooses adapters."""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bayplan.engines.docker import DockerEngine
from bayplan.engines.lock import EngineLock
from bayplan.errors import UsageError
from bayplan.gateways.haproxy import HaproxyGateway
from bayplan.hosts import GuardReach, reach_for
from bayplan.images import login_for, registry_for
from bayplan.ports import Engine, FleetPorts, Reach, Registry, UsageStore
from bayplan.spec.model import Fleet, Host
from bayplan.store import releases_for, store_url


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def open_fleet(fleet: Fleet, slow: Callable[[str], None] = lambda _: None) -> AsyncIterator[FleetPorts]:
    """The fleet's ports, opened as they are used; let go of at the end, whatever happened. slow: as in FleetPorts.

    Raises UsageError for a host that there is no way to.
    """
    import_aiohttp()
    _check_is_here(fleet)
    ways = {name: reach_for(host, fleet.ssh) for name, host in fleet.hosts.items()}
    engines = {name: DockerEngine(way, kernel=_kernel_of(fleet.hosts[name])) for name, way in ways.items()}
    reaches = {name: _whole_reach(fleet, host, ways[name], engines[name]) for name, host in fleet.hosts.items()}
    gateways = {name: HaproxyGateway(reaches[name], engines[name], fleet.name) for name in fleet.hosts}
    registry = _registry(fleet, reaches)
    clock = SystemClock()
    lock = EngineLock(fleet.name, fleet.gateway_image, engines, clock, lambda: login_for(fleet.gateway_image, registry))
    releases = releases_for(fleet, registry)
    ports = FleetPorts(fleet, reaches, engines, gateways, registry, releases, clock, lock, slow)
    try:
        yield ports
    finally:
        await asyncio.gather(*(g.close() for g in gateways.values()), return_exceptions=True)
        closing = [e.close() for e in engines.values()] + [r.close() for r in reaches.values()]
        await asyncio.gather(*closing, *([registry.close()] if registry else []), return_exceptions=True)


def usage_store(fleet: Fleet) -> UsageStore:
    """Where samples of usage are kept. SQLAlchemy is imported here, by those who ask."""
    from bayplan.store.usage import SqlUsage

    return SqlUsage(store_url(fleet), fleet.name)


def _check_is_here(fleet: Fleet) -> None:
    """What docker compose would be led to another machine by is not begun on this one."""
    if fleet.elsewhere:
        address = next(iter(fleet.hosts.values())).address
        told = f"{fleet.elsewhere.by} is {address}, and without a fleet.yaml the fleet is this machine's own engine"
        host = address.removeprefix("ssh://") if address.startswith(("ssh://", "tcp://")) else "deploy@10.0.0.11"
        raise UsageError(told, todo=f"write one: bayplan init {host}; or, for this machine, {fleet.elsewhere.undo}")


def _whole_reach(fleet: Fleet, host: Host, way: Reach, engine: Engine) -> Reach:
    """To the engine and all else on the host."""
    return GuardReach(way, engine, fleet.name) if host.address.startswith("tcp://") else way


def _kernel_of(host: Host) -> str:
    """Which one the engine must run on: this machine's, where its socket is this machine's; "" if any."""
    return platform.release() if host.address.startswith("unix://") else ""


def import_aiohttp() -> None:
    """Imported, it reads all certificates of the system twice, which takes as long as the rest of it (40 ms), for two
    contexts that nothing here uses: where bayplan speaks TLS, it makes its own.
    """
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        importlib.import_module("aiohttp")
    finally:
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before


def _registry(fleet: Fleet, reaches: dict[str, Reach]) -> Registry | None:
    """The fleet's own is reached through its host."""
    if fleet.registry is None:
        return None
    return registry_for(fleet.registry, reaches[fleet.registry.host] if fleet.registry.host else None)
