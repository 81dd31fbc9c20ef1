"""What an engine's errors are to us."""

from __future__ import annotations

import re

from bayplan.errors import ConflictError, EngineError, HostUnreachableError, NotFoundError, PortTakenError

NOT_FOUND, CONFLICT = 404, 409
NO_CONNECTION = 900  # aiodocker's own status for it

_PORT_TAKEN = ("port is already allocated", "address already in use")
_BIND = re.compile(r"((?:(?:\d+\.){3}\d+|\[[\da-fA-F:]*\]):\d+)")


def translated(status: int, said: str, host: str) -> EngineError | HostUnreachableError:
    """An engine's answer as an error of ours. status: HTTP's, 0 for one that came within a stream."""
    message = said.strip().removeprefix("Error response from daemon: ")
    if status == NO_CONNECTION:
        return HostUnreachableError(message, where=host)
    if any(words in message for words in _PORT_TAKEN):
        bind = _BIND.search(message)
        port = f"port {bind[1]}" if bind else "a port"
        return PortTakenError(
            f"{port} is taken on the host",
            where=host,
            todo="another port is taken at the next try; to see who has it: ss -ltnp",
            status=status,
        )
    if status == NOT_FOUND:
        return NotFoundError(message, where=host, status=status)
    if status == CONFLICT and "is already in use by container" in message:
        return ConflictError(message, where=host, status=status)
    return EngineError(message, where=host, status=status)
