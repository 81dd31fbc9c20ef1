"""The password of an existing registry: what a command prints, asked for once and only when it is needed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from contextlib import suppress

from bayplan.errors import RegistryError
from bayplan.ports import Credentials, Registry
from bayplan.spec.image_name import is_at

_DEADLINE = 30.0  # seconds: a password manager may ask its agent; nobody is there to type
_ENDS = {126: "names a program that cannot be run", 127: "names a program that is not there"}  # as shells tell it


async def login_for(image: str, registry: Registry | None) -> Credentials | None:
    """What an engine needs to pull it: the fleet's registry's, for any image of the same server, and no other. Raises
    RegistryError.
    """
    if registry is None or not is_at(image, registry.prefix.partition("/")[0]):
        return None
    return await asyncio.to_thread(lambda: registry.login)  # may run a command


class Login:
    """Credentials for a registry. command: run by the shell, as a line of a user's own would be."""

    def __init__(self, server: str, username: str, command: str) -> None:
        self.server, self.username, self._command = server, username, command
        self._asking = threading.Lock()
        self._known: Credentials | None = None
        self._running: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    @property
    def credentials(self) -> Credentials:
        """Blocks while the command runs, once for all who ask at a time. Raises RegistryError; the output is in no
        message, only how it ended.
        """
        with self._asking:
            self._known = self._known or Credentials(self.server, self.username, self._password())
            return self._known

    def close(self) -> None:
        """Nobody waits for it any more: what still runs is ended, so that this process can."""
        self._is_closed = True
        if self._running and self._running.poll() is None:
            self._end(self._running)

    def _password(self) -> str:
        try:
            running = subprocess.Popen(  # noqa: S602  the user's own command line, pipes and all
                self._command,
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # no terminal: a prompt fails instead of waiting unseen
            )
        except OSError as failed:
            raise self._failed(f"could not be run: {failed.strerror}") from failed
        with running:
            self._running = running
            if self._is_closed:
                self._end(running)
            try:
                output, _ = running.communicate(timeout=_DEADLINE)
            except subprocess.TimeoutExpired as late:
                self._end(running)
                raise self._failed(f"did not end within {_DEADLINE:g} s") from late
        if running.returncode:
            raise self._failed(_ENDS.get(running.returncode, f"ended with status {running.returncode}"))
        password = output.decode(errors="replace").partition("\n")[0].rstrip("\r")
        if not password:
            raise self._failed("printed nothing")
        return password

    def _end(self, running: subprocess.Popen[bytes]) -> None:
        """What the shell began goes with it."""
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)

    def _failed(self, how: str) -> RegistryError:
        """Tells neither the command nor what it printed: people write the password itself there, by mistake."""
        return RegistryError(
            f"registry.password_command {how}",
            where=self.server,
            todo="it must print the password as its first line, without a terminal; run it by hand to see what it says",
        )
