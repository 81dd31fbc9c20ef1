"""An engine in memory that behaves like a real one, so that plans and rollouts can be tried by the thousand."""

from __future__ import annotations

import hashlib
import io
import itertools
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bayplan import labels
from bayplan.container import Container, File, Mounted
from bayplan.engines import archive, listing
from bayplan.engines.body import restart_policy
from bayplan.engines.memory_container import MemoryContainer, MemoryHeld, MemoryNetwork, MemoryStream, Program
from bayplan.engines.memory_hub import MemoryHub, digest_name, image_id
from bayplan.errors import (
    ConflictError,
    HostUnreachableError,
    ImageError,
    NotFoundError,
    PortTakenError,
    UsageError,
)
from bayplan.facts import Binding, EngineFacts
from bayplan.image_config import ImageConfig
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
    Transfer,
    Usage,
    VolumeEntry,
)

_NOTHING = bytes(10240)  # an empty tar
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  addresses that a container may be bound to
_AT = "2000-01-01T00:00:00.000000000Z"  # no clock: lines are in order, that is all


def _stays(container: Container) -> Program:  # noqa: ARG001
    return Program()


class MemoryEngine:
    """hub: what can be pulled. programs: what a container does. foreign: (address, port, protocol) that others hold."""

    def __init__(
        self,
        host: str,
        hub: MemoryHub,
        *,
        cpus: float = 4.0,
        memory: int = 8 << 30,
        programs: Callable[[Container], Program] = _stays,
    ) -> None:
        self.host = host
        self.foreign: set[tuple[str, int, str]] = set()
        self.answers = True
        self._about = listing.Engine("memory", "1.41", cpus, memory)
        self._hub = hub
        self._programs = programs
        self._containers: dict[str, MemoryContainer] = {}
        self._networks: dict[str, MemoryNetwork] = {}
        self._images: dict[str, str] = {}
        self._volumes: dict[str, Mounted] = {}  # as they were made
        self._trees: dict[str, bytes] = {}  # what is in them, as a tar
        self._ids = itertools.count(1)

    async def observe(self, fleet: str) -> EngineFacts:
        self._reached()
        ours = {n: network.id for n, network in self._networks.items() if network.labels.get(labels.FLEET) == fleet}
        entries = [*(c.entry() for c in self._containers.values()), *self._foreign_entries()]
        return listing.read(entries, ours, self._about, self.host, fleet, await self.volumes())

    async def info(self) -> Mapping[str, Any]:
        self._reached()
        about = self._about
        return {"ServerVersion": about.version, "NCPU": int(about.cpus), "MemTotal": about.memory, "Name": self.host}

    async def images(self) -> frozenset[str]:
        self._reached()
        return frozenset((*self._images, *self._images.values()))

    async def image_id(self, image: str) -> str | None:
        self._reached()
        return self._images.get(image) or (image if image in self._images.values() else None)

    async def image_config(self, image: str) -> ImageConfig:
        if await self.image_id(image) is None:
            raise NotFoundError(f"No such image: {image}", where=self.host, status=404)
        return ImageConfig()

    async def run(self, container: Container) -> str:
        made = await self._create(container)
        self._start(made)
        self._containers[container.name] = made
        return made.id

    async def hold(self, container: Container) -> HeldContainer:
        made = await self._create(container)
        self._containers[container.name] = made
        return MemoryHeld(made, self.remove)

    async def until_removed(self, container: str) -> None:
        self._reached()
        found = self._find(container)
        if found is not None:
            await found.gone.wait()

    async def _create(self, container: Container) -> MemoryContainer:
        self._reached()
        image = await self.image_id(container.image)
        if image is None:
            raise NotFoundError(f"No such image: {container.image}", where=self.host, status=404)
        if container.name in self._containers:
            raise ConflictError(f"the name {container.name} is already in use", where=self.host, status=409)
        if container.network not in ("", "host", "bridge", "none", *self._networks):
            raise NotFoundError(f"network {container.network} not found", where=self.host, status=404)
        made = MemoryContainer(self._new_id(), container, image, self._programs(container))
        if container.network in self._networks:
            made.network_id = self._networks[container.network].id
        made.files = {f.path: f.content for f in container.files}
        self._volumes = {m.name: m for m in container.mounts if m.name} | self._volumes
        return made

    async def start(self, name: str) -> None:
        self._start(self._container(name))

    async def stop(self, name: str, grace: float | None) -> None:  # noqa: ARG002  nothing here takes time
        self._reached()
        container = self._find(name)
        if container is not None and container.state in ("running", "paused", "restarting"):
            container.exit(0, by_hand=True)

    async def set_restart(self, name: str, policy: str) -> None:
        container = self._container(name)
        container.made_of = replace(container.made_of, restart=policy)

    async def remove(self, name: str, grace: float | None) -> None:  # noqa: ARG002
        self._reached()
        container = self._find(name)
        if container is not None:
            del self._containers[container.made_of.name]
            container.gone.set()

    async def rename(self, name: str, to: str) -> None:
        self._reached()
        container = self._container(name)
        if to in self._containers:
            raise ConflictError(f"the name {to} is taken", where=self.host)
        del self._containers[name]
        container.made_of = replace(container.made_of, name=to)
        self._containers[to] = container

    async def ensure_network(self, name: str, bridge: str, labels: Mapping[str, str]) -> None:  # noqa: ARG002
        self._reached()
        self._networks.setdefault(name, MemoryNetwork(self._new_id(), dict(labels)))

    async def remove_network(self, name: str) -> None:
        self._reached()
        self._networks.pop(name, None)

    async def volumes(self) -> tuple[VolumeEntry, ...]:
        self._reached()
        users: dict[str, dict[str, bool]] = {name: {} for name in self._volumes}
        for one in self._containers.values():
            for mount in (m for m in one.made_of.mounts if m.name):
                users[mount.name][one.made_of.name] = one.state == "running"
        return tuple(
            VolumeEntry(n, m.driver or "local", m.labels, m.driver_opts, users[n])
            for n, m in sorted(self._volumes.items())
        )

    async def pause(self, name: str) -> None:
        self._container(name).state = "paused"

    async def read_tree(self, name: str, path: str) -> AsyncGenerator[bytes]:
        yield self._trees.get(self._volume_at(name, path), _NOTHING)

    async def write_tree(self, name: str, path: str, tar: AsyncIterator[bytes]) -> None:
        self._trees[self._volume_at(name, path)] = b"".join([chunk async for chunk in tar])

    def _volume_at(self, name: str, path: str) -> str:
        return next(m.name for m in self._container(name).made_of.mounts if m.mount.target == path)

    async def remove_volume(self, name: str) -> None:
        self._reached()
        if any(m.name == name for c in self._containers.values() for m in c.made_of.mounts):
            raise ConflictError(f"remove {name}: volume is in use", where=self.host, status=409)
        self._volumes.pop(name, None)
        self._trees.pop(name, None)

    async def inspect(self, name: str) -> Mapping[str, Any]:
        c = self._container(name)
        return {
            "Id": c.id,
            "Name": f"/{c.made_of.name}",
            "Image": c.image_id,
            "Config": {"Labels": dict(c.made_of.labels), "Image": c.made_of.image},
            "HostConfig": {"RestartPolicy": restart_policy(c.made_of.restart)},
            "State": {"Status": c.state, "Running": c.state == "running", "ExitCode": c.exit_code},
        }

    async def logs(
        self,
        name: str,
        *,
        tail: int | None = None,
        follow: bool = False,  # noqa: ARG002  nothing is said later
        since: str = "",
    ) -> AsyncIterator[LogLine]:
        said = self._container(name).lines
        start = 0 if tail is None else max(0, len(said) - tail)
        for stream, text in said[start:] if since <= _AT else ():
            yield LogLine(stream, _AT, text)

    async def usage(self, name: str) -> Usage:
        made_of = self._container(name).made_of
        return Usage(0.0, 0, made_of.limit_memory or self._about.memory, 0, 0, 1)

    async def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        how: How = AS_IT_IS,  # noqa: ARG002
        deadline: float = 30.0,  # noqa: ARG002
    ) -> ExecResult:
        container = self._container(name)
        if container.state != "running":
            raise ConflictError(f"Container {name} is not running", where=self.host, status=409)
        return container.program.on_exec(argv)

    async def exec_stream(self, name: str, argv: Sequence[str]) -> ExecStream:
        container = self._container(name)
        if container.state != "running":
            raise ConflictError(f"Container {name} is not running", where=self.host, status=409)
        return MemoryStream(container.program.on_talk(argv), container.gone)

    async def attach_exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,  # noqa: ARG002
        how: How = AS_IT_IS,
    ) -> int:
        if tty:
            raise UsageError("an engine in memory has no terminal", where=self.host)
        return (await self.exec(name, argv, how=how)).status

    async def attach_run(self, container: Container, *, tty: bool, stdin: bool) -> int:  # noqa: ARG002
        if tty:
            raise UsageError("an engine in memory has no terminal", where=self.host)
        made = await self._create(container)
        self._start(made)
        return made.exit_code

    async def copy_out(self, name: str, path: str) -> AsyncGenerator[bytes]:
        files, base = self._container(name).files, path.removesuffix("/.").rstrip("/")
        found = {p: c for p, c in files.items() if p == base or p.startswith(f"{base}/")}
        if not found:
            raise NotFoundError(f"Could not find the file {path} in container {name}", where=self.host, status=404)
        start = len(base.rpartition("/")[0])
        yield archive.pack(File(p[start:], c) for p, c in found.items())

    async def copy_in(self, name: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        files = self._container(name).files
        with tarfile.open(fileobj=io.BytesIO(b"".join([chunk async for chunk in tar]))) as content:
            for member in content:
                if inner := content.extractfile(member):
                    files[f"{directory.rstrip('/')}/{member.name}"] = inner.read()

    async def is_directory(self, name: str, path: str) -> bool | None:
        """A directory is what something is in; / and /tmp are there."""
        files, base = self._container(name).files, path.rstrip("/")
        if base in files:
            return False
        return True if base in ("", "/tmp") or any(p.startswith(f"{base}/") for p in files) else None  # noqa: S108

    async def read_file(self, name: str, path: str) -> bytes:
        files = self._container(name).files
        if path not in files:
            raise NotFoundError(f"Could not find the file {path} in container {name}", where=self.host, status=404)
        return files[path]

    async def lay(self, name: str, files: Sequence[File]) -> None:
        self._container(name).files |= {file.path: file.content for file in files}

    async def build(self, request: BuildRequest, on: OnTransfer) -> str:
        self._reached()
        on(Transfer(status="build", text="built in memory"))
        image = image_id(b"".join(request.context))
        self._images[request.tag] = image
        return image

    async def pull(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> None:  # noqa: ARG002
        self._reached()
        found = self._hub.get(image)
        if found is None:
            raise ImageError(f"there is no image {image}", where=self.host, todo="check its name and tag")
        self._images |= dict.fromkeys(self._hub.names_of(found, image), found)
        on(Transfer(status="Pull complete", text=f"pulled {image}"))

    async def push(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> str:  # noqa: ARG002
        self._reached()
        if image not in self._images:
            raise ImageError(f"{image} cannot be pushed: it is not here", where=self.host)
        digest = self._hub.put(image, self._images[image])
        self._images[digest_name(image, digest)] = self._images[image]
        on(Transfer(status="Pushed", text=f"pushed {image}"))
        return digest

    async def tag(self, image: str, name: str) -> None:
        found = await self.image_id(image)
        if found is None:
            raise NotFoundError(f"No such image: {image}", where=self.host, status=404)
        self._images[name if ":" in name.rpartition("/")[2] else f"{name}:latest"] = found

    async def close(self) -> None:
        """Nothing is held."""

    def container(self, name: str) -> MemoryContainer:
        """For tests: to look into one, or to break it."""
        return self._containers[name]

    def _reached(self) -> None:
        if not self.answers:
            raise HostUnreachableError("it does not answer", where=self.host)

    def _find(self, name: str) -> MemoryContainer | None:
        """By name or id."""
        by_id = (c for c in self._containers.values() if c.id == name)
        return self._containers.get(name) or next(by_id, None)

    def _container(self, name: str) -> MemoryContainer:
        self._reached()
        found = self._find(name)
        if found is None:
            raise NotFoundError(f"No such container: {name}", where=self.host, status=404)
        return found

    def _start(self, container: MemoryContainer) -> None:
        if container.state != "running":
            if container.network_id not in ("", *(network.id for network in self._networks.values())):
                raise NotFoundError(f"network {container.network_id} not found", where=self.host, status=404)
            for binding in container.made_of.ports:
                self._check_free(binding)
        container.start()

    def _check_free(self, wanted: Binding) -> None:
        for address, port, protocol in (*self._bound(), *self.foreign):
            same = address == wanted.address or address in _EVERYWHERE or wanted.address in _EVERYWHERE
            if same and (port, protocol) == (wanted.port, wanted.protocol):
                said = f"port {wanted.address}:{wanted.port} is taken on the host"
                raise PortTakenError(said, where=self.host, status=500)

    def _bound(self) -> Iterator[tuple[str, int, str]]:
        running = (c for c in self._containers.values() if c.state in ("running", "paused"))
        return ((b.address, b.port, b.protocol) for c in running for b in c.made_of.ports)

    def _foreign_entries(self) -> Iterator[dict[str, Any]]:
        for address, port, protocol in sorted(self.foreign):
            published = {"IP": address, "PrivatePort": port, "PublicPort": port, "Type": protocol}
            yield {"Id": "", "Names": [], "State": "running", "Ports": [published]}

    def _new_id(self) -> str:
        return hashlib.sha256(f"{self.host} {next(self._ids)}".encode()).hexdigest()
