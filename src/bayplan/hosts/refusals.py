"""What ssh's words mean: why a host cannot be reached, where, and what to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from bayplan.errors import HostRefusedError, HostUnreachableError
from bayplan.hosts import keys

Effective = Mapping[str, Sequence[str]]  # keyword in lower case to its values, as `ssh -G` prints them

# Run by the host's shell: what $1 is, whether this login may use it, whether an engine answers there, who asks.
LOOK = """if [ ! -S "$1" ]; then s=missing; elif [ ! -w "$1" ]; then s=denied
elif docker -H "unix://$1" version >/dev/null 2>&1; then s=answers; else s=silent; fi; echo $s; id -un"""

_OFFENDING = re.compile(r"Offending (?:\S+ )?key(?: for IP)? in (\S+)", re.IGNORECASE)
_UNRESOLVED = re.compile(r"Could not resolve hostname (\S+?):")
_CONNECT = re.compile(r"connect to (?:host|address) \S+ port \d+: (.+)")
_TOO_OPEN = re.compile(r"Permissions \d+ for '(.+)' are too open")
_OPEN_FAILED = re.compile(r"open failed: (administratively prohibited|connect failed)")


def read_effective(text: str) -> dict[str, list[str]]:
    """The lines of `ssh -G`."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value)
    return found


def is_lax(effective: Effective) -> bool:
    """Whether the user's configuration takes any host key, each time anew. Nobody gets to do that here."""
    how = effective.get("stricthostkeychecking", [""])[0]
    kept = " ".join(effective.get("userknownhostsfile", [])).split()
    return how in ("no", "off", "false") or (how == "accept-new" and bool(kept) and set(kept) <= {"/dev/null", "none"})


def of_connection(host: str, said: str, effective: Effective, config_file: str | None) -> HostUnreachableError:
    """Why ssh did not connect. said: its log."""
    login = f"{_one(effective, 'user')}@{_one(effective, 'hostname')}"
    by_hand = f"ssh -F {config_file} {_alias(effective)}" if config_file else f"ssh {login}"
    if "HOST IDENTIFICATION HAS CHANGED" in said or "has changed and you have requested" in said:
        return _changed_key(host, said, effective)
    if "Host key verification failed" in said:
        return HostRefusedError(
            f"the host key of {_one(effective, 'hostname')} is not known here",
            where=host,
            todo=f"connect once by hand, compare the fingerprint, and accept it: {by_hand}",
        )
    if too_open := _TOO_OPEN.search(said):
        return HostRefusedError(
            f"{login} is refused: others may read the key {too_open[1]}, so ssh left it out",
            where=host,
            todo=f"chmod 600 {shlex.quote(too_open[1])}",
        )
    if "Permission denied" in said or "Too many authentication failures" in said:
        return HostRefusedError(
            f"{login} is refused: {_line_with(said, 'Permission denied', 'Too many authentication')}",
            where=host,
            todo=f"{keys.here(effective)}; check the user in fleet.yaml, and put a key there: ssh-copy-id {login}",
        )
    return _no_answer(host, said, effective, by_hand)


def _no_answer(host: str, said: str, effective: Effective, by_hand: str) -> HostUnreachableError:
    where = f"{_one(effective, 'hostname')} port {_one(effective, 'port')}"
    if unresolved := _UNRESOLVED.search(said):
        return HostUnreachableError(
            f"the name '{unresolved[1]}' does not resolve",
            where=host,
            todo="check its spelling, and this machine's DNS",
        )
    if connect := _CONNECT.search(said):
        return HostUnreachableError(f"{where}: {connect[1].strip().lower()}", where=host, todo=_todo(connect[1]))
    if "timed out" in said:
        return HostUnreachableError(f"{where}: no answer in time", where=host, todo=_todo("timed out"))
    last = (said.strip().splitlines() or ["ssh gave no reason"])[-1]
    return HostUnreachableError(f"no connection to {where}: {last}", where=host, todo=f"try it by hand: {by_hand}")


def _todo(reason: str) -> str:
    if "refused" in reason:
        return "the machine is up and no ssh server listens there: start it, or give its port (ssh://user@host:port)"
    return "is the machine up, and may this one reach it? (a firewall or a cloud's security group may be in the way)"


def _changed_key(host: str, said: str, effective: Effective) -> HostRefusedError:
    offending = _OFFENDING.search(said)
    file, _, line = (offending[1] if offending else "").rpartition(":")
    there = f"{file} line {line}" if file else "known_hosts"
    name = _one(effective, "hostname")
    port = _one(effective, "port")
    entry = name if port == "22" else f"[{name}]:{port}"
    option = f"-f {file} " if file else ""
    return HostRefusedError(
        f"the host key of {name} is not the one in {there}",
        where=host,
        todo=f"it was reinstalled, or someone stands in between: make sure, then remove the old key "
        f"(ssh-keygen {option}-R '{entry}') and connect once by hand",
    )


def forbidden(host: str, target: str, said: str) -> HostUnreachableError | None:
    """The ssh server's refusal to forward, from the connection's log; it gives no such reason for UNIX sockets."""
    reasons = _OPEN_FAILED.findall(said)
    return _forwards_not(host, target) if reasons and reasons[-1] == "administratively prohibited" else None


def _forwards_not(host: str, target: str) -> HostRefusedError:
    kind = "AllowStreamLocalForwarding" if target.startswith("/") else "AllowTcpForwarding"
    return HostRefusedError(
        f"the host's ssh server does not allow {target} to be forwarded",
        where=host,
        todo=f"set {kind} yes (and no DisableForwarding) in its /etc/ssh/sshd_config, and reload it",
    )


def of_socket(host: str, target: str, seen: Sequence[str]) -> HostUnreachableError:
    """What LOOK printed, as a sentence."""
    state, user = (*seen, "", "")[:2]
    match state:
        case "missing":
            return HostUnreachableError(
                f"there is no socket {target}: Docker is not installed or not running there",
                where=host,
                todo="install Docker, or start it: sudo systemctl start docker",
            )
        case "denied":
            return HostRefusedError(
                f"user '{user}' may not use {target}",
                where=host,
                todo=f"on the host: sudo usermod -aG docker {user}; a new connection is made at the next try",
            )
        case "answers":
            return _forwards_not(host, target)
        case _:
            return HostUnreachableError(
                f"{target} closes every connection: what should listen there is not running",
                where=host,
                todo="see it on the host: sudo systemctl status docker",
            )


def _one(effective: Effective, keyword: str) -> str:
    return effective.get(keyword, ["?"])[0]


def _alias(effective: Effective) -> str:
    return _one(effective, "host") if "host" in effective else _one(effective, "hostname")


def _line_with(said: str, *words: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if any(w in line for w in words)), "no reason")
