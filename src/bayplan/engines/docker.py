"""A real Docker Engine, API 1.41 to the newest, behind whatever Reach leads to it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from bayplan.container import Container, File
from bayplan.engines import archive, attach, build, hold, images, listing, networks, oneoff, streams, tree
from bayplan.engines.body import create_body, restart_policy
from bayplan.engines.client import SLOW, Client
from bayplan.engines.exec_stream import exec_stream
from bayplan.engines.faults import CONFLICT
from bayplan.engines.moments import Moment
from bayplan.errors import BayplanError, EngineError, HostRefusedError, NotFoundError
from bayplan.facts import EngineFacts
from bayplan.image_config import ImageConfig, read_config
from bayplan.ports import (
    AS_IT_IS,
    BuildRequest,
    Credentials,
    ExecResult,
    ExecStream,
    HeldContainer,
    How,
    LogLine,
    OnTransfer,
    Reach,
    Usage,
    VolumeEntry,
)
from bayplan.spec.model import ENGINE_SOCKET

ENGINE_GRACE = 10  # seconds: what Docker gives a container that says nothing of it
_NEEDS = "name a Linux machine or VM whose Docker Engine is root's: bayplan init deploy@10.0.0.11 writes a fleet.yaml"


class DockerEngine:
    """One host's engine. reach: the way there; socket: where it listens on the host. kernel: the release of the one
    that it must run on, as where its containers' sockets are looked for on this machine; "": any.
    """

    def __init__(self, reach: Reach, socket: str = ENGINE_SOCKET, *, kernel: str = "") -> None:
        self.host = reach.host
        self._kernel = kernel
        self._client = Client(reach, socket)
        self._engine: listing.Engine | None = None
        self._learning = asyncio.Lock()

    async def observe(self, fleet: str) -> EngineFacts:
        """Three requests side by side; at first use also who the engine is."""
        try:
            async with asyncio.TaskGroup() as asking:
                engine = asking.create_task(self._itself())
                entries = asking.create_task(self._list_containers())
                bridges = asking.create_task(networks.names(self._client, fleet))
                volumes = asking.create_task(self._list_volumes())
        except ExceptionGroup as failed:  # one host, one reason; the other requests are over by now
            first = failed.exceptions[0]
            raise first from first.__cause__
        there = listing.volumes(volumes.result())
        return listing.read(entries.result(), bridges.result(), engine.result(), self.host, fleet, there)

    async def info(self) -> Mapping[str, Any]:
        async with self._client.calling() as docker:
            return await docker.system.info()

    async def images(self) -> frozenset[str]:
        async with self._client.calling() as docker:
            return images.names(await docker.images.list())

    async def image_id(self, image: str) -> str | None:
        try:
            async with self._client.calling() as docker:
                return str((await docker.images.inspect(image))["Id"])
        except NotFoundError:
            return None

    async def image_config(self, image: str) -> ImageConfig:
        async with self._client.calling() as docker:
            return read_config((await docker.images.inspect(image)).get("Config") or {})

    async def run(self, container: Container) -> str:
        """Create, lay files, start. What was created is removed again when a later step fails, or is cancelled."""
        undo = partial(self._take_back, Moment())
        async with self._making(container.name, await self._body(container), undo) as made:
            if container.files:
                await self.lay(made, container.files)
            await self._start(made)
        return made

    async def start(self, name: str) -> None:
        try:
            await self._start(name)
        except EngineError as error:
            if "paused container" not in error.what:
                raise
            async with self._client.calling(SLOW) as docker:
                await docker.containers.container(name).unpause()

    async def stop(self, name: str, grace: float | None) -> None:
        with suppress(NotFoundError):
            seconds = await self._own_grace(name) if grace is None else math.ceil(grace)
            async with self._client.calling(seconds + SLOW) as docker:
                await docker.containers.container(name).stop(t=seconds)

    async def _own_grace(self, name: str) -> int:
        timeout = (await self.inspect(name))["Config"].get("StopTimeout")
        return ENGINE_GRACE if timeout is None else int(timeout)

    async def set_restart(self, name: str, policy: str) -> None:
        async with self._client.calling(SLOW) as docker:
            await docker._query_json(  # noqa: SLF001  the library has no such call
                f"containers/{name}/update", method="POST", data={"RestartPolicy": restart_policy(policy)}
            )

    async def remove(self, name: str, grace: float | None) -> None:
        if grace is None or grace > 0:
            await self.stop(name, grace)
        try:
            async with self._client.calling(SLOW) as docker:
                await docker.containers.container(name).delete(force=True, v=True)
        except NotFoundError:
            return
        except EngineError as error:
            if error.status != CONFLICT:
                raise
            await self._until_removed(name)

    async def rename(self, name: str, to: str) -> None:
        async with self._client.calling() as docker:
            await docker.containers.container(name).rename(to)

    async def ensure_network(self, name: str, bridge: str, labels: Mapping[str, str]) -> None:
        await networks.ensure(self._client, name, bridge, labels, (await self._itself()).pools)

    async def remove_network(self, name: str) -> None:
        with suppress(NotFoundError):
            async with self._client.calling(SLOW) as docker:
                await (await docker.networks.get(name)).delete()

    async def hold(self, container: Container) -> HeldContainer:
        return await hold.hold(self._client, container)

    async def until_removed(self, container: str) -> None:
        with suppress(NotFoundError):
            await self._wait_removed(container, None)

    async def volumes(self) -> tuple[VolumeEntry, ...]:
        return listing.volumes(await self._list_volumes(), await self._list_containers())

    async def pause(self, name: str) -> None:
        async with self._client.calling(SLOW) as docker:
            await docker.containers.container(name).pause()

    def read_tree(self, name: str, path: str) -> AsyncGenerator[bytes]:
        return tree.read(self._client, name, f"{path}/.")

    async def write_tree(self, name: str, path: str, tar: AsyncIterator[bytes]) -> None:
        await tree.write(self._client, name, path, tar)

    async def remove_volume(self, name: str) -> None:
        with suppress(NotFoundError):
            async with self._client.calling(SLOW) as docker:
                await (await docker.volumes.get(name)).delete()  # type: ignore[no-untyped-call]

    async def inspect(self, name: str) -> Mapping[str, Any]:
        async with self._client.calling() as docker:
            return await docker.containers.container(name).show()

    def logs(
        self, name: str, *, tail: int | None = None, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        return streams.logs(self._client, name, tail=tail, follow=follow, since=since)

    async def usage(self, name: str) -> Usage:
        async with self._client.calling() as docker:
            return streams.usage((await docker.containers.container(name).stats(stream=False))[0])

    async def exec(self, name: str, argv: Sequence[str], *, how: How = AS_IT_IS, deadline: float = 30.0) -> ExecResult:
        return await attach.run_to_end(self._client, name, argv, how, deadline=deadline)

    async def exec_stream(self, name: str, argv: Sequence[str]) -> ExecStream:
        return await exec_stream(self._client, name, argv)

    async def attach_exec(self, name: str, argv: Sequence[str], *, tty: bool, stdin: bool, how: How = AS_IT_IS) -> int:
        return await attach.attach(self._client, name, argv, how, tty=tty, stdin=stdin)

    async def attach_run(self, container: Container, *, tty: bool, stdin: bool) -> int:
        body = oneoff.attachable(await self._body(container), tty=tty, stdin=stdin)
        async with self._making(container.name, body, partial(self._see_off, grace=container.stop_grace)) as made:
            return await oneoff.attached(self._client, made, tty=tty, stdin=stdin)

    def copy_out(self, name: str, path: str) -> AsyncGenerator[bytes]:
        return tree.read(self._client, name, path)

    async def copy_in(self, name: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        await tree.unpack(self._client, name, directory, tar)

    async def is_directory(self, name: str, path: str) -> bool | None:
        return await tree.is_directory(self._client, name, path)

    async def read_file(self, name: str, path: str) -> bytes:
        async with self._client.calling(SLOW) as docker:
            content = archive.only_file(await docker.containers.container(name).get_archive(path))
        if content is None:
            raise NotFoundError(f"{path} in {name} is not a file", where=self.host)
        return content

    async def lay(self, name: str, files: Sequence[File]) -> None:
        async with self._client.calling(SLOW) as docker:
            await docker.containers.container(name).put_archive("/", archive.pack(files))  # type: ignore[no-untyped-call]

    async def build(self, request: BuildRequest, on: OnTransfer) -> str:
        return await build.build(self._client, request, on)

    async def pull(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> None:
        await images.pull(self._client, image, on, credentials)

    async def push(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> str:
        return await images.push(self._client, image, on, credentials)

    async def tag(self, image: str, name: str) -> None:
        repository, tag = images.split(name)
        async with self._client.calling() as docker:
            await docker.images.tag(image, repository, tag=tag)

    async def close(self) -> None:
        await self._client.close()

    async def _itself(self) -> listing.Engine:
        """Who the engine is, asked once."""
        if self._engine is None:
            async with self._learning:
                if self._engine is None:
                    self._engine = await self._ask_itself()
        return self._engine

    async def _ask_itself(self) -> listing.Engine:
        info = await self.info()
        self._refuse_elsewhere(info)
        return listing.Engine(
            version=info["ServerVersion"],
            api=self._client.api,
            cpus=float(info["NCPU"]),
            memory=int(info["MemTotal"]),
            log_driver=info.get("LoggingDriver", "json-file"),
            arch=info.get("Architecture", ""),
            pools=networks.pools(info),
        )

    def _refuse_elsewhere(self, info: Mapping[str, Any]) -> None:
        """Raises HostRefusedError for an engine in a virtual machine (Docker Desktop, colima) or behind a forwarded
        socket, and for one without root: gateways' sockets, ports and firewall rules would not be this machine's.
        """
        system = str(info.get("OperatingSystem", ""))
        told = ""
        if self._kernel and (info.get("KernelVersion") != self._kernel or "Docker Desktop" in system):
            told = f"its engine does not run on this machine itself, but on {system or 'another'}"
        elif "name=rootless" in (info.get("SecurityOptions") or ()):
            told = "its engine is rootless: no client would reach a replica"
        if told:
            raise HostRefusedError(told, where=self.host, todo=_NEEDS)

    async def _list_containers(self) -> list[Mapping[str, Any]]:
        async with self._client.calling() as docker:
            return [c._container for c in await docker.containers.list(all=True)]  # noqa: SLF001  the entry itself

    async def _list_volumes(self) -> list[Mapping[str, Any]]:
        async with self._client.calling() as docker:
            return (await docker.volumes.list())["Volumes"] or []  # type: ignore[no-untyped-call]

    async def _body(self, container: Container) -> dict[str, Any]:
        engine = await self._itself()
        return create_body(container, cores=engine.cpus, log_driver=engine.log_driver)

    @asynccontextmanager
    async def _making(
        self, name: str, body: Mapping[str, Any], undo: Callable[[str], Awaitable[None]]
    ) -> AsyncIterator[str]:
        """A new container, by its id. undo: gets that when what is done with it fails, or is cancelled."""
        creating = asyncio.create_task(self._create(name, body))
        try:
            yield await asyncio.shield(creating)
        except BaseException:
            await asyncio.shield(self._discard(creating, undo))
            raise

    async def _create(self, name: str, body: Mapping[str, Any]) -> str:
        async with self._client.calling(SLOW) as docker:
            return (await docker.containers.create(body, name=name)).id

    async def _start(self, name: str) -> None:
        async with self._client.calling(SLOW) as docker:
            await docker.containers.container(name).start()

    async def _discard(self, creating: asyncio.Task[str], undo: Callable[[str], Awaitable[None]]) -> None:
        """Cancelled while the engine was creating it: it goes on, so that what it made is known and can be removed."""
        with suppress(BayplanError):
            await undo(await creating)

    async def _take_back(self, since: Moment, made: str) -> None:
        """Whatever it does by now; but if this process hung meanwhile, so long that another operator may have the fleet
        by now, one that runs is theirs: they found it there. Raises EngineError (a conflict) then.
        """
        if since.ago < hold.ANSWER:
            await self.remove(made, 0)
            return
        async with self._client.calling(SLOW) as docker:
            await docker.containers.container(made).delete(force=False, v=True)

    async def _see_off(self, made: str, grace: float) -> None:
        """It may take its leave, and is gone afterwards whether it did or not."""
        with suppress(BayplanError):
            await self.stop(made, grace)
        await self.remove(made, 0)

    async def _until_removed(self, name: str) -> None:
        """Someone else is removing it: its name and ports are free when they are done."""
        with suppress(NotFoundError):
            await self._wait_removed(name, SLOW)

    async def _wait_removed(self, name: str, deadline: float | None) -> None:
        async with self._client.calling(deadline) as docker:
            await docker.containers.container(name).wait(condition="removed", timeout=None)
