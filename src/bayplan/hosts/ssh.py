"""A host over the system's OpenSSH: one connection that outlives us, sockets forwarded over it.

A socket that is forwarded already is dialled without starting a process. The connection, its sockets and its log are
files of one private directory, named by a digest of the address and of the configuration file as it stands.
"""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bayplan.errors import DeadlineError, EngineError, HostRefusedError, HostUnreachableError, in_words
from bayplan.hosts import refusals
from bayplan.hosts.process import Ended, ended, failed
from bayplan.hosts.sockets import accepts, alone, private_dir
from bayplan.hosts.ssh_command import SshCommand
from bayplan.spec.model import Host, Ssh

CONNECT_DEADLINE = 15.0  # seconds: jump hosts too
QUICK_DEADLINE = 5.0  # seconds: what the connection answers itself
MOST_SESSIONS = 4  # commands at a time; sshd allows 10 a connection (MaxSessions), other processes' included
SSH_FAILED = 255  # ssh's own exit status; anything else is the command's


class SshReach:
    """ssh://user@host[:port], with the user's own configuration, agent, jump hosts and keys."""

    def __init__(self, host: Host, ssh: Ssh) -> None:
        self.host = host.name
        self._address = host.address
        self._config_file = ssh.config_file
        self._command: SshCommand | None = None
        self._dialled: dict[str, int] = {}
        self._failed: tuple[float, HostUnreachableError] | None = None
        self._sessions = asyncio.Semaphore(MOST_SESSIONS)

    async def dial(self, target: str, *, fresh: bool = False) -> str:
        """A UNIX socket here that leads there. Raises HostUnreachableError, HostRefusedError."""
        command = self._ssh()
        local = command.forwarded(target)
        if fresh or not accepts(local):
            async with self._turn(command):
                if fresh:
                    await self._drop(command, target)
                if not accepts(local):
                    await self._connect(command)
                    await self._forward(command, local, target)
        self._dialled[target] = _identity(command.control)
        return f"unix:{local}"

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:
        """A command on the host. Raises HostUnreachableError, HostRefusedError, EngineError, DeadlineError."""
        command = self._ssh()
        if not accepts(command.control):
            async with self._turn(command):
                await self._connect(command)
        try:
            async with self._sessions:
                done = await self._ended(command.run(argv), deadline)
        except TimeoutError as late:
            raise DeadlineError(f"'{shlex.join(argv)}' did not end within {deadline:g} s", where=self.host) from late
        if done.status == SSH_FAILED and not accepts(command.control):
            raise HostUnreachableError(f"the connection broke: {_last(done.errors)}", where=self.host)
        if done.status:
            raise failed(argv, done, self.host)
        return done.output

    async def why_silent(self, target: str) -> HostUnreachableError:
        """Ask the host itself, and the connection's own log."""
        command = self._ssh()
        why = refusals.forbidden(self.host, target, _tail(command.log)) or await self._look(target)
        if isinstance(why, HostRefusedError):  # what was granted since holds for a new login only
            async with alone(command.lock, CONNECT_DEADLINE):
                await self._drop(command, target)
        return why

    async def close(self) -> None:
        """The connection stays up for the next command, and ends by itself when it is not used."""

    async def _look(self, target: str) -> HostUnreachableError:
        try:
            seen = await self.run(["sh", "-c", refusals.LOOK, "sh", target], deadline=QUICK_DEADLINE)
        except (HostUnreachableError, EngineError, DeadlineError) as error:
            return HostUnreachableError(f"{target} does not answer: {error.what}", where=self.host)
        return refusals.of_socket(self.host, target, seen.split())

    @asynccontextmanager
    async def _turn(self, command: SshCommand) -> AsyncIterator[None]:
        """Of several tasks that want the same connection one tries; when it failed, it failed for those who waited."""
        asked = time.monotonic()
        try:
            async with alone(command.lock, 2 * CONNECT_DEADLINE):
                if self._failed is not None and self._failed[0] > asked:
                    raise self._failed[1]
                try:
                    yield
                except HostUnreachableError as error:
                    self._failed = (time.monotonic(), error)
                    raise
        except OSError as error:
            raise HostUnreachableError(
                f"this machine cannot keep the connection: {error.filename or command.directory}: {in_words(error)}",
                where=self.host,
                todo="make room there, or name another directory of yours: XDG_RUNTIME_DIR",
            ) from error

    def _ssh(self) -> SshCommand:
        if self._command is None:
            self._command = SshCommand(self._address, self._config_file, private_dir(), self._key())
        return self._command

    def _key(self) -> str:
        """An edited configuration is another connection, and so is a lab made anew."""
        config = Path(self._config_file) if self._config_file else _own_config()
        stamp = config.stat().st_mtime_ns if config.exists() else 0
        return hashlib.sha256(f"{self._address}\0{config}\0{stamp}".encode()).hexdigest()[:12]

    async def _connect(self, command: SshCommand) -> None:
        """Start the shared connection unless it stands. The lock is held."""
        if accepts(command.control):
            return
        command.control.unlink(missing_ok=True)
        effective = await self._effective(command)
        status = await self._start(command, strict=refusals.is_lax(effective))
        if status or not accepts(command.control):
            raise refusals.of_connection(self.host, _tail(command.log), effective, self._config_file)
        await self._hasten(command)

    async def _hasten(self, command: SshCommand) -> None:
        """Have sshd send small packets at once. It sets TCP_NODELAY when a command begins (packet.c,
        ssh_packet_set_interactive), and where there are only forwarded sockets never: answers in two pieces then take
        40 ms. Where commands are forbidden it stays so.
        """
        with suppress(TimeoutError):
            await self._ended(command.run(["true"]), QUICK_DEADLINE)

    async def _effective(self, command: SshCommand) -> dict[str, list[str]]:
        """What the user's configuration comes to."""
        try:
            done = await self._ended(command.effective(), QUICK_DEADLINE)
        except TimeoutError as late:
            raise HostUnreachableError("ssh -G does not answer", where=self.host) from late
        if done.status:
            raise HostRefusedError(
                f"ssh does not accept its configuration: {_last(done.errors)}",
                where=self.host,
                todo=f"see {self._config_file or '~/.ssh/config'}",
            )
        return refusals.read_effective(done.output)

    async def _start(self, command: SshCommand, *, strict: bool) -> int:
        command.log.write_bytes(b"")
        try:
            done = await self._ended(command.master(strict=strict), CONNECT_DEADLINE)
        except TimeoutError:
            done = Ended(SSH_FAILED, "", "Connection timed out")
        with command.log.open("a") as log:  # what a jump host's own ssh said is not in it yet
            log.write(done.errors)
        return done.status

    async def _forward(self, command: SshCommand, local: Path, target: str) -> None:
        done = await self._ask(command.forward(local, target))
        if done.status or not accepts(local):
            raise HostRefusedError(f"{target} cannot be forwarded: {_last(done.errors)}", where=self.host)

    async def _drop(self, command: SshCommand, target: str) -> None:
        """End the connection that was dialled before, unless another has taken its place since. The lock is held."""
        if self._dialled.get(target) == _identity(command.control):
            with suppress(HostUnreachableError):
                await self._ask(command.end())
            command.control.unlink(missing_ok=True)
            command.forwarded(target).unlink(missing_ok=True)

    async def _ended(self, argv: Sequence[str], deadline: float) -> Ended:
        """Raises TimeoutError. A connection that another run left leads to the host until a command is needed."""
        try:
            return await ended(argv, deadline=deadline)
        except FileNotFoundError as missing:
            if missing.filename is None:  # no directory for temporary files can be written
                raise
            raise HostUnreachableError(
                "there is no ssh on this machine", where=self.host, todo="install OpenSSH (apt install openssh-client)"
            ) from missing

    async def _ask(self, argv: Sequence[str]) -> Ended:
        try:
            return await self._ended(argv, QUICK_DEADLINE)
        except TimeoutError as late:
            raise HostUnreachableError("the ssh connection does not answer", where=self.host) from late


def _own_config() -> Path:
    try:
        return Path.home() / ".ssh" / "config"
    except RuntimeError:  # a user that has no name and no home, as in containers; ssh says so itself
        return Path("/")


def _identity(path: Path) -> int:
    """Which file it is, 0 for none: a socket made anew is another."""
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return 0


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:] if log.exists() else ""


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
