"""The ways to a host: the system's OpenSSH, a socket of this machine, TLS and, where that ends, the host's guard."""

from __future__ import annotations

from bayplan.errors import UsageError
from bayplan.hosts.guard import GuardReach
from bayplan.hosts.local import LocalReach
from bayplan.hosts.ssh import SshReach
from bayplan.hosts.tls import TlsReach
from bayplan.ports import Reach
from bayplan.spec.model import Host, Ssh

__all__ = ["GuardReach", "LocalReach", "SshReach", "TlsReach", "reach_for"]


def reach_for(host: Host, ssh: Ssh) -> Reach:
    """The way that the host's address asks for; tcp:// is to its engine alone. Nothing is connected yet.

    Raises UsageError.
    """
    match host.address.partition("://")[0]:
        case "ssh":
            return SshReach(host, ssh)
        case "unix":
            return LocalReach(host)
        case "tcp":
            return TlsReach(host)
        case _:
            raise UsageError(
                f"'{host.address}' is no way to a host",
                where=host.name,
                todo="write ssh://user@host, unix:///path/of/docker.sock or tcp://host:port with tls",
            )
