"""What an engine's errors are to us."""

from __future__ import annotations

import re

from bayplan.errors import (
    CommandError,
    ConflictError,
    EngineError,
    HostUnreachableError,
    NotFoundError,
    PortTakenError,
    make_room,
    restart_engine,
)

NOT_FOUND, CONFLICT = 404, 409
NO_CONNECTION = 900  # aiodocker's own status for it

_PORT_TAKEN = ("port is already allocated", "address already in use")
_NO_POOL = ("available, non-overlapping IPv4 address pool", "predefined address pools have been fully subnetted")
_FLUSHED = "iptables failed"
_REASON = re.compile(r"\[([^\[\]]+)\]+$")  # the last of what aiohttp nests
_BIND = re.compile(r"((?:(?:\d+\.){3}\d+|\[[\da-fA-F:]*\]):\d+)")
# runc's words, at the end of those of the engine, the shim and itself.
_COMMAND = re.compile(r'exec: "([^"]*)": (?:stat [^:]*: )?(executable file not found|no such file|permission denied)')
_NO_USER = re.compile(r"unable to find (user|group) ([^:]+): ")
_NO_DIRECTORY = re.compile(r'chdir to cwd \("([^"]*)"\) set in config\.json failed: ([^:]+)')
_NOT_EXECUTABLE, _NO_COMMAND = 126, 127


def translated(status: int, said: str, host: str) -> EngineError | HostUnreachableError:
    """An engine's answer as an error of ours. status: HTTP's, 0 for one that came within a stream."""
    message = said.strip().removeprefix("Error response from daemon: ")
    if status == NO_CONNECTION:
        why = _REASON.search(message)
        return HostUnreachableError(f"the way to its engine broke: {why[1].lower() if why else message}", where=host)
    if any(words in message for words in _PORT_TAKEN):
        bind = _BIND.search(message)
        port = f"port {bind[1]}" if bind else "a port"
        return PortTakenError(
            f"{port} is taken on the host",
            where=host,
            todo="another port is taken at the next try; to see who has it: ss -ltnp",
            status=status,
        )
    if wrong := _of_command(message):
        what, exit_status = wrong
        return CommandError(what, where=host, status=status, exit_status=exit_status)
    if any(words in message for words in _NO_POOL):
        return EngineError(
            "the engine has no address pool left for another network",
            where=host,
            todo="docker network prune removes those that no container is in; default-address-pools in "
            "/etc/docker/daemon.json gives it more",
            status=status,
        )
    if status == NOT_FOUND:
        return NotFoundError(message, where=host, status=status)
    if status == CONFLICT and "is already in use by container" in message:
        return ConflictError(message, where=host, status=status)
    todo = make_room(host) if "no space left" in message else restart_engine(host) if _FLUSHED in message else ""
    return EngineError(message, where=host, todo=todo, status=status)


def _of_command(message: str) -> tuple[str, int] | None:
    """What is wrong with a command that cannot be started, and the status that a shell would give."""
    if command := _COMMAND.search(message):
        is_there = command[2] == "permission denied"
        what = "may not be executed in the container" if is_there else "is not in the image, or not in its PATH"
        return f"the command {command[1]} {what}", _NOT_EXECUTABLE if is_there else _NO_COMMAND
    if user := _NO_USER.search(message):
        return f"there is no {user[1]} {user[2]} in the container", _NOT_EXECUTABLE
    if directory := _NO_DIRECTORY.search(message):
        return f"the working directory {directory[1]} cannot be entered: {directory[2]}", _NOT_EXECUTABLE
    return None


def not_begun(said: str, host: str) -> CommandError:
    """A command that an engine could not start in a container that runs. said: what it wrote where output would be."""
    error = translated(0, said, host)
    if isinstance(error, CommandError):
        return error
    return CommandError(f"the command cannot be started: {error.what}", where=host, exit_status=_NOT_EXECUTABLE)
