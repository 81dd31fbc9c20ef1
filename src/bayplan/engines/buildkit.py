"""BuildKit, driven by the Docker CLI of this machine against an engine's dialled socket: its API needs a session."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from bayplan.engines.client import IDLE, in_thread, patient
from bayplan.engines.images import KEPT_LINES, failed
from bayplan.engines.options_body import extra_hosts
from bayplan.errors import ImageError
from bayplan.ports import BuildRequest, OnTransfer, Transfer
from bayplan.program import answer
from bayplan.terminal_text import left_on_screen

_PROBE = 10.0  # seconds
_LONGEST_LINE = 2**20  # bytes
_LAST_WITH_BUILTIN = 22  # from version 23 the CLI builds with its buildx plugin only
_VERSION = re.compile(r"version (\d+)\.")


@dataclass(frozen=True, slots=True)
class Builder:
    """A Docker CLI here. kind: its buildx plugin, or what older ones have built in."""

    program: str
    kind: Literal["buildx", "builtin"]


async def find() -> Builder | None:
    """The first Docker CLI on PATH that can drive BuildKit."""
    for program in (f"{directory}/docker" for directory in os.get_exec_path()):
        if not os.access(program, os.X_OK):
            continue
        if await answer(program, "buildx", "version", deadline=_PROBE) is not None:
            return Builder(program, "buildx")
        version = _VERSION.search(await answer(program, "--version", deadline=_PROBE) or "")
        if version and int(version[1]) <= _LAST_WITH_BUILTIN:
            return Builder(program, "builtin")
    return None


async def build(builder: Builder, address: str, request: BuildRequest, on: OnTransfer, host: str) -> str:
    """The new image's id. address: as DOCKER_HOST has it. Raises ImageError."""
    with tempfile.TemporaryDirectory(prefix="bayplan-build-") as directory, ExitStack() as held:
        id_file = Path(directory) / "id"
        secrets = [f"--secret=id={k},src={_readable(v, directory, held)}" for k, v in request.secrets.items()]
        environment = {**_environment(address, directory), **_told_by_environment(request)}
        status, said = await _run([*_argv(builder, request, id_file), *secrets, "-"], environment, request, on)
        if status:
            raise failed(request, said[-1] if said else f"the Docker CLI ended with status {status}", said)
        built = id_file.read_text().strip() if id_file.exists() else ""
    if not built:
        raise ImageError("the Docker CLI built the image and did not say which", where=host)
    return built


def _argv(builder: Builder, request: BuildRequest, id_file: Path) -> list[str]:
    argv = [builder.program, *(("buildx", "build", "--load") if builder.kind == "buildx" else ("build",))]
    argv += ["--progress", "plain", "--iidfile", str(id_file), "--tag", request.tag, "--file", request.dockerfile]
    told = _told_by_environment(request)
    argv += [f"--build-arg={k}" if k in told else f"--build-arg={k}={v}" for k, v in request.args.items()]
    argv += [f"--label={k}={v}" for k, v in request.labels.items()]
    argv += [f"--target={request.target}"] if request.target else []
    argv += ["--no-cache"] if request.no_cache else []
    argv += ["--pull"] if request.pull else []
    argv += [f"--add-host={entry}" for entry in extra_hosts(request.extra_hosts)]
    argv += [f"--network={request.network}"] if request.network else []
    argv += [f"--shm-size={request.shm_size}"] if request.shm_size else []
    argv += [f"--ulimit={name}={u.soft}:{u.hard}" for name, u in request.ulimits.items()]
    argv += [f"--cache-from={image}" for image in request.cache_from]
    argv += [f"--ssh={agent}" for agent in request.ssh]
    argv += [f"--platform={request.platform}"] if request.platform else []
    return argv


def _readable(value: bytes, directory: str, held: ExitStack) -> str:
    """Where the CLI finds a secret for as long as the build takes, and nobody else can read it: in memory, of which a
    kill leaves nothing; where the system has no such files (macOS), in that directory.
    """
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = held.enter_context(os.fdopen(os.memfd_create("secret"), "wb"))
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
    else:
        file = held.enter_context(tempfile.NamedTemporaryFile(dir=directory))  # noqa: SIM115  the stack closes it
        path = file.name
    file.write(value)
    file.flush()
    return path


def _told_by_environment(request: BuildRequest) -> dict[str, str]:
    """Build arguments that the CLI takes from its environment: its command line can be read by everyone on the machine.

    Those that would change the CLI itself are not among them.
    """
    return {
        k: v for k, v in request.args.items() if os.environ.get(k, v) == v and not k.startswith(("DOCKER_", "BUILD"))
    }


def _environment(address: str, directory: str) -> dict[str, str]:
    """A builder or context that the user chose for themselves is not asked: this engine is to build."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "BUILDX_"))}
    config = {"DOCKER_CONFIG": os.environ["DOCKER_CONFIG"]} if "DOCKER_CONFIG" in os.environ else {}
    return (
        mine
        | config
        | {
            "DOCKER_HOST": address,
            "DOCKER_BUILDKIT": "1",
            "BUILDX_BUILDER": "default",
            "BUILDX_CONFIG": f"{directory}/buildx",
        }
    )


async def _run(
    argv: list[str], environment: dict[str, str], request: BuildRequest, on: OnTransfer
) -> tuple[int, deque[str]]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        limit=_LONGEST_LINE,
    )
    said: deque[str] = deque(maxlen=KEPT_LINES)
    feeding = asyncio.create_task(_feed(process, request.context))
    try:
        await _read(process, on, said, request.tag)
        status = await process.wait()
        if feeding.done():
            await feeding  # what this machine could not read is why the build failed
        return status, said
    finally:
        feeding.cancel()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its plugin, which builds, is a process of its own
            await process.wait()


async def _feed(process: asyncio.subprocess.Process, context: Iterable[bytes]) -> None:
    assert process.stdin is not None  # noqa: S101  it was asked for
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            async for piece in in_thread(context):
                process.stdin.write(piece)
                await process.stdin.drain()
    finally:
        process.stdin.close()


async def _read(process: asyncio.subprocess.Process, on: OnTransfer, said: deque[str], tag: str) -> None:
    assert process.stdout is not None  # noqa: S101  it was asked for
    try:
        async for line in patient(_lines(process.stdout)):
            for text in left_on_screen(line.decode(errors="replace")):
                said.append(text)
                on(Transfer(status="build", text=text))
    except TimeoutError as late:
        raise ImageError(f"the build stood still for {IDLE:g} s", where=f"build of {tag}") from late


async def _lines(output: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        try:
            line = await output.readline()
        except ValueError:  # what is longer than can be kept it has left out
            line = b"(a line of more than a megabyte)\n"
        if not line:
            return
        yield line
