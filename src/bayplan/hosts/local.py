"""A host that is this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bayplan.errors import HostRefusedError, HostUnreachableError
from bayplan.hosts.process import run_to_end
from bayplan.hosts.sockets import accepts
from bayplan.spec.model import ENGINE_SOCKET, Host


class LocalReach:
    """unix:///path: the engine listens there; other sockets and ports are this machine's own."""

    def __init__(self, host: Host) -> None:
        self.host = host.name
        self._engine = host.address.removeprefix("unix://") or ENGINE_SOCKET

    async def dial(self, target: str, *, fresh: bool = False) -> str:  # noqa: ARG002  nothing here goes stale
        """As is. Raises HostUnreachableError when no engine listens, HostRefusedError when we may not ask it."""
        if target != ENGINE_SOCKET:
            return f"unix:{target}" if target.startswith("/") else f"tcp:{target}"
        if not accepts(Path(self._engine)):
            raise await self.why_silent(target)
        return f"unix:{self._engine}"

    async def why_silent(self, target: str) -> HostUnreachableError:
        path = self._engine if target == ENGINE_SOCKET else target
        if os.access(path, os.F_OK) and not os.access(path, os.W_OK):
            return HostRefusedError(
                f"this user may not use {path}",
                where=self.host,
                todo="join the docker group (sudo usermod -aG docker $USER, then log in again), or use sudo",
            )
        return HostUnreachableError(
            f"nothing answers at {path}",
            where=self.host,
            todo="start Docker (sudo systemctl start docker), or name another host in fleet.yaml",
        )

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:
        return await run_to_end(argv, host=self.host, deadline=deadline)

    async def close(self) -> None:
        """Nothing is held."""
