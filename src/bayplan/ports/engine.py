"""One host's Docker Engine, and what it is asked and answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bayplan.container import Container, File
from bayplan.facts import EngineFacts
from bayplan.image_config import ImageConfig
from bayplan.ports.registry import Credentials
from bayplan.spec.options import Ulimit


@dataclass(frozen=True, slots=True)
class Transfer:
    """Progress of a pull, push or build. layer: short id, "" for the whole; bytes; total 0: not known. text: a line.

    again: seconds until the engine tries again what the registry did not take; 0: it did.
    """

    layer: str = ""
    status: str = ""
    done: int = 0
    total: int = 0
    text: str = ""
    again: int = 0


OnTransfer = Callable[[Transfer], None]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a container's output. stream: stdout or stderr; time: RFC 3339, as the engine has it."""

    stream: str
    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """A container's use at one moment. cpus: cores; bytes; limits 0: none."""

    cpus: float
    memory: int
    memory_limit: int
    net_rx: int
    net_tx: int
    processes: int


@dataclass(frozen=True, slots=True)
class How:
    """As whom a command in a container is run, and in which surroundings; what is not set is the container's."""

    user: str = ""
    workdir: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False


AS_IT_IS: Final = How()


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command in a container printed, and its exit status."""

    status: int
    output: bytes


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """An image build. context: the pieces of a tar of the directory, to be had once; dockerfile: its path within;
    instructions: what that says.

    extra_hosts ("name=address"), network, shm_size, ulimits: of the containers of its steps. cache_from: images
    whose layers may be used. secrets: values by the id that its steps mount them by; ssh: agents and keys of this
    machine, `id` or `id=path`; platform: `os/arch`. These three, only BuildKit has, but for a platform that is the
    engine's own.
    """

    context: Iterable[bytes]
    tag: str
    dockerfile: str = "Dockerfile"
    instructions: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    no_cache: bool = False
    pull: bool = False
    extra_hosts: tuple[str, ...] = ()
    network: str = ""
    shm_size: int = 0
    ulimits: Mapping[str, Ulimit] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: tuple[str, ...] = ()
    platform: str = ""


class ExecStream(Protocol):
    """A command in a container, spoken with. Everything raises EngineError (or a kind of it) or HostUnreachableError.

    Its input ends, and with that the command should, when it is closed or this process ends.
    """

    async def read(self) -> bytes:
        """The next of its standard output; b"" at the end: of the command, of its container, of what was closed."""

    async def write(self, data: bytes) -> None:
        """Say it to the command. One at a time."""

    async def ended(self) -> ExecResult:
        """After its end: how it ended, and the last of what it said of errors."""

    async def close(self) -> None:
        """Say and hear nothing any more. Again is fine."""


class HeldContainer(Protocol):
    """A container that lives as long as this process holds it."""

    @property
    def is_sure(self) -> bool:
        """Whether its name is still ours, also if its host has been silent since it was last heard."""

    async def live(self) -> None:
        """Start it, and show it that we live, until it is gone or does not answer. Raises EngineError and its like."""

    async def let_go(self) -> None:
        """It ends, and its engine removes it. Again is fine."""


@dataclass(frozen=True, slots=True)
class VolumeEntry:
    """A volume on one host. used_by: names of the containers that mount it, by whether they run."""

    name: str
    driver: str
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    used_by: Mapping[str, bool] = field(default_factory=dict)


class Engine(Protocol):
    """One host's Docker Engine. Every method raises EngineError (or a kind of it) or HostUnreachableError."""

    host: str

    async def observe(self, fleet: str) -> EngineFacts:
        """Replicas and system containers of that fleet, and what else takes ports. One quick request or two."""

    async def info(self) -> Mapping[str, Any]:
        """The engine's own words on itself and its host: what `docker info` tells."""

    async def images(self) -> frozenset[str]:
        """Every name by which an image can be run here without a pull: `repo:tag`, `repo@digest`, `sha256:id`."""

    async def run(self, container: Container) -> str:
        """Create and start; its id. Leaves nothing behind if it cannot start.

        Raises ConflictError (name), PortTakenError, NotFoundError (image).
        """

    async def start(self, name: str) -> None:
        """Start (or unpause) a container that is there."""

    async def stop(self, name: str, grace: float | None) -> None:
        """Stop; gone already is done already. grace: seconds before it is killed; None: its own stop_grace."""

    async def set_restart(self, name: str, policy: str) -> None:
        """What becomes of it when it ends, or its engine starts: as `restart:` has it. Raises NotFoundError."""

    async def remove(self, name: str, grace: float | None) -> None:
        """Stop and remove, with its anonymous volumes; gone already is done already. grace: as with `stop`."""

    async def rename(self, name: str, to: str) -> None:
        """Give a container another name. Raises NotFoundError, ConflictError."""

    async def ensure_network(self, name: str, bridge: str, labels: Mapping[str, str]) -> None:
        """Create a bridge network unless one of that name is there; a host has room for hundreds.

        Raises ConflictError when one of that name is a stranger's, EngineError when there is no room for its addresses.
        """

    async def remove_network(self, name: str) -> None:
        """Remove a network; gone already is done already."""

    async def hold(self, container: Container) -> HeldContainer:
        """Create it, not started yet; it ends, and is removed, with this process. Its program reads bytes and says them
        back. Raises ConflictError (name), NotFoundError (image).
        """

    async def until_removed(self, container: str) -> None:
        """Wait, without end, until no container of that name or id is here."""

    async def volumes(self) -> tuple[VolumeEntry, ...]:
        """Every volume, whoever made it."""

    async def pause(self, name: str) -> None:
        """Freeze its processes; `start` goes on with them."""

    def read_tree(self, name: str, path: str) -> AsyncGenerator[bytes]:
        """A tar of what is in a directory of a container, running or not. Raises NotFoundError."""

    async def write_tree(self, name: str, path: str, tar: AsyncIterator[bytes]) -> None:
        """Unpack a tar into a directory of a container, running or not."""

    async def remove_volume(self, name: str) -> None:
        """Remove a volume with all that is in it; gone already is done already. Raises EngineError: in use."""

    async def inspect(self, name: str) -> Mapping[str, Any]:
        """The engine's own words on a container. Raises NotFoundError."""

    def logs(
        self, name: str, *, tail: int | None = None, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        """Its output, oldest first. since: an RFC 3339 or Unix time; "" is from the start. Raises NotFoundError."""

    async def usage(self, name: str) -> Usage:
        """What it uses now."""

    async def exec(self, name: str, argv: Sequence[str], *, how: How = AS_IT_IS, deadline: float = 30.0) -> ExecResult:
        """Run a command in it to its end."""

    async def exec_stream(self, name: str, argv: Sequence[str]) -> ExecStream:
        """Begin a command in it that is spoken with. Raises NotFoundError, and EngineError when it does not run."""

    async def attach_exec(self, name: str, argv: Sequence[str], *, tty: bool, stdin: bool, how: How = AS_IT_IS) -> int:
        """Run a command in it on this process's own terminal; its exit status."""

    async def attach_run(self, container: Container, *, tty: bool, stdin: bool) -> int:
        """Create and start it on this process's own terminal; its exit status. It is removed when it ends.

        Raises ConflictError, NotFoundError (image).
        """

    def copy_out(self, name: str, path: str) -> AsyncGenerator[bytes]:
        """A tar of a file or directory of a container, running or not, by its own name. Raises NotFoundError."""

    async def copy_in(self, name: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        """Unpack a tar into a directory that is there; what is in it stays. Raises NotFoundError."""

    async def is_directory(self, name: str, path: str) -> bool | None:
        """Whether a path in a container is one; None: nothing is there."""

    async def read_file(self, name: str, path: str) -> bytes:
        """A file in a container, running or not. Raises NotFoundError."""

    async def lay(self, name: str, files: Sequence[File]) -> None:
        """Lay files into a container, running or not, with their owners and modes."""

    async def build(self, request: BuildRequest, on: OnTransfer) -> str:
        """Build an image; its id. Raises ImageError with the last lines of the build."""

    async def pull(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> None:
        """Fetch an image. Raises ImageError."""

    async def push(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> str:
        """Send an image to the registry in its name; the manifest's digest. Raises ImageError."""

    async def tag(self, image: str, name: str) -> None:
        """Give an image another name. Raises NotFoundError."""

    async def image_id(self, image: str) -> str | None:
        """The id (`sha256:…`) of an image by any of its names; None if it is not here."""

    async def image_config(self, image: str) -> ImageConfig:
        """What an image says of itself. Raises NotFoundError."""

    async def close(self) -> None:
        """Let go of connections."""
