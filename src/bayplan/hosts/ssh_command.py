"""The ssh commands of one host, and the files that they share. Built here, run elsewhere."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PERSIST = 600  # seconds that an unused connection stays up
CONNECT = 5  # seconds
ALIVE = (3, 3)  # seconds between questions, questions without an answer until a host is given up: about 10 s

# What a user's configuration may hold for a terminal, and what would get in our way.
_PLAIN = (
    "BatchMode=yes",
    f"ConnectTimeout={CONNECT}",
    f"ServerAliveInterval={ALIVE[0]}",
    f"ServerAliveCountMax={ALIVE[1]}",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
)


@dataclass(frozen=True, slots=True)
class SshCommand:
    """address: ssh://user@host[:port]. directory: private. key: tells this connection's files from others'."""

    address: str
    config_file: str | None
    directory: Path
    key: str

    @property
    def control(self) -> Path:
        return self.directory / f"{self.key}.c"

    @property
    def lock(self) -> Path:
        return self.directory / f"{self.key}.l"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.key}.log"

    def forwarded(self, target: str) -> Path:
        """The socket here for a socket or port there."""
        return self.directory / f"{self.key}-{hashlib.sha256(target.encode()).hexdigest()[:8]}.s"

    def effective(self) -> list[str]:
        """Print the configuration that holds for this host."""
        return ["ssh", *self._config(), "-G", *self._destination()]

    def master(self, *, strict: bool) -> list[str]:
        """Connect, go to the background, serve the control socket. strict: the user's configuration checks no keys."""
        options = [*_PLAIN, "ControlMaster=yes", f"ControlPersist={PERSIST}", "StreamLocalBindUnlink=yes"]
        options += ["StrictHostKeyChecking=yes"] if strict else []
        return ["ssh", *self._config(), *self._options(options), "-E", str(self.log), "-N", "-f", *self._destination()]

    def run(self, argv: Sequence[str]) -> list[str]:
        """A command there. Should the connection break, it does not make one of its own."""
        options = [*_PLAIN, "ControlMaster=no", "ProxyCommand=false"]
        return ["ssh", *self._config(), *self._options(options), *self._destination(), shlex.join(argv)]

    def forward(self, local: Path, target: str) -> list[str]:
        return [*self._control(), "-O", "forward", "-L", f"{local}:{target}", "it"]

    def end(self) -> list[str]:
        return [*self._control(), "-O", "exit", "it"]

    def _control(self) -> list[str]:
        """What only speaks to the connection that stands needs no configuration, nor where it leads."""
        return ["ssh", "-F", "none", *self._options([])]

    def _options(self, options: Sequence[str]) -> list[str]:
        return [word for o in (*options, f"ControlPath={self.control}") for word in ("-o", o)]

    def _config(self) -> list[str]:
        return ["-F", self.config_file] if self.config_file else []

    def _destination(self) -> list[str]:
        url = urlsplit(self.address)
        words = ["-l", url.username] if url.username else []
        words += ["-p", str(url.port)] if url.port else []
        return [*words, "--", url.hostname or ""]
