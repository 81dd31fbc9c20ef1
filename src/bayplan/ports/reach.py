"""The way to one host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bayplan.errors import HostUnreachableError


class Reach(Protocol):
    """The way to one host: where on this machine a socket of that host can be dialled."""

    host: str

    async def dial(self, target: str, *, fresh: bool = False) -> str:
        """`unix:/path` or `tcp:ip:port` on this machine that leads to `target` on the host.

        target: an absolute path of a UNIX socket there, or `ip:port` as seen from there; ENGINE_SOCKET is the engine,
        wherever it listens. fresh: what dial said before does not answer; a connection that went stale is made anew.
        Raises HostUnreachableError, HostRefusedError.
        """

    async def why_silent(self, target: str) -> HostUnreachableError:
        """What stands in the way when `target` can be dialled, and closes the connection at once."""

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:
        """A command on the host itself, by its login; what it printed. Raises HostUnreachableError, EngineError."""

    async def close(self) -> None:
        """Let go. A shared connection stays up for the next command."""
