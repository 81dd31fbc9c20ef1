"""The one error root: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BayplanError(Exception):
    """Anything that a user is told about.

    what: one sentence. where: `file:line`, a host or a service, empty if nowhere in particular.
    todo: what to do, empty if nothing can be. exit_status: as in DESIGN.md (1 failed, 2 wrong file or usage, 3 in part,
    4 no host could be reached).
    """

    exit_status = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.todo}" if self.todo else head


def in_words(error: Exception) -> str:
    """What the system says of a failure, as the end of a sentence of ours: "no space left on device"."""
    return str(getattr(error, "strerror", None) or error).lower()


def make_room(host: str) -> str:
    """What to do where the disk that images are kept on is full."""
    return (
        f"make room on {host}: docker system df says what takes it there, and docker image prune -a takes away what no "
        "container uses; where there is room, it is the number of files: df -i"
    )


def restart_engine(host: str) -> str:
    """What to do where the engine's own rules are in the firewall no more: it writes them as it starts."""
    return (
        f"something took the engine's own rules out of the firewall of {host}: restart the engine there "
        "(sudo systemctl restart docker), and after each reload of the firewall"
    )


class HostUnreachableError(BayplanError):
    """A host did not answer: its state is unknown, which is never the same as empty."""


class HostRefusedError(HostUnreachableError):
    """A host answered and let us not in: a changed host key, a wrong key, no permission on the engine's socket."""


class EngineError(BayplanError):
    """The engine answered with an error. status: its HTTP status, 0 if there was none."""

    def __init__(self, what: str, *, where: str = "", todo: str = "", status: int = 0) -> None:
        super().__init__(what, where=where, todo=todo)
        self.status = status


class NotFoundError(EngineError):
    """The container, image, network or file is not there."""


class ConflictError(EngineError):
    """The name is taken."""


class CommandError(EngineError):
    """The command of a container is not in its image (status 127), or cannot be executed (126): as shells have it."""

    def __init__(self, what: str, *, where: str = "", todo: str = "", status: int = 0, exit_status: int = 127) -> None:
        super().__init__(what, where=where, todo=todo, status=status)
        self.exit_status = exit_status


class PortTakenError(EngineError):
    """Something else holds the host port."""


class GatewayError(BayplanError):
    """A gateway refused a command or a configuration; what was served before is still served."""


class ImageError(BayplanError):
    """An image cannot be built, found, pushed or pulled."""


class RegistryError(BayplanError):
    """The fleet's registry did not answer, or refused."""


class UnreadableError(RegistryError):
    """What the registry lists cannot be had from it: damaged, cut off or lost. The rest of it may well be there."""


class LabError(BayplanError):
    """The lab cannot be made on this machine, or is not up."""


class LockedError(BayplanError):
    """Somebody else is changing the fleet; nothing was changed."""


class NoMajorityError(BayplanError):
    """Too few hosts answer to know that nobody else is changing the fleet; nothing was changed."""


class LockLostError(BayplanError):
    """The lock was lost while the fleet was being changed: somebody else may be changing it by now."""


class DeadlineError(BayplanError):
    """Something did not happen in time."""


class PartialError(BayplanError):
    """Converged in part: some of the fleet could not be brought to where it should be."""

    exit_status = 3


class NoHostError(BayplanError):
    """Not one host could be reached."""

    exit_status = 4


@dataclass(frozen=True)
class Mistake:
    """One thing wrong in a file. line and column count from 1; 0 means the file as a whole."""

    what: str
    file: str
    line: int = 0
    column: int = 0
    todo: str = ""

    @property
    def where(self) -> str:
        """`file:line`, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"\n  {self.todo}" if self.todo else "")


class SpecError(BayplanError):
    """Every mistake of the files, at once, in the order of their lines."""

    exit_status = 2

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(m) for m in self.mistakes))


class UsageError(BayplanError):
    """The command was called in a way that cannot work; nothing was changed."""

    exit_status = 2
