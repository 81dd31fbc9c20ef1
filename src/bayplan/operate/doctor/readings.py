"""What a host's kernel tells of it, asked in one command that any login may run, and read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayplan.listening import TABLES
from bayplan.operate.doors import Door, doors
from bayplan.operate.own_address import ROUTES, addresses

_MARK = "=== bayplan"
_SCRIPT = f"""\
df -Pk "$1" 2>/dev/null; echo '{_MARK}'
df -Pi "$1" 2>/dev/null; echo '{_MARK}'
cat /proc/meminfo; echo '{_MARK}'
{" ".join(ROUTES)}; echo '{_MARK}'
{" ".join(TABLES)} 2>/dev/null; echo '{_MARK}'
cat /proc/sys/net/ipv4/ip_local_port_range"""
_LINE = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Readings:
    """Bytes. files_total: that the disk has room for, by number; 0 where it has no such limit.

    addresses: the host's own, IPv4. listening: on TCP. outgoing: the range for outgoing connections.
    """

    disk_total: int
    disk_free: int
    files_total: int
    files_free: int
    memory_total: int
    memory_free: int
    addresses: frozenset[str]
    listening: frozenset[Door]
    outgoing: tuple[int, int]


def command(root: str) -> list[str]:
    """What to run. root: where the engine keeps images."""
    return ["sh", "-c", _SCRIPT, "sh", root]


def read(said: str) -> Readings:
    """What it printed. A part that is missing is 0 or empty."""
    disk, files, memory, routes, sockets, outgoing = (*said.split(_MARK), "", "", "", "", "", "")[:6]
    amounts = {key: int(value) << 10 for key, value in _LINE.findall(memory)}
    total, free = _columns(disk)
    most, left = _columns(files)
    low, high = (*map(int, outgoing.split()), 0, 0)[:2]
    return Readings(
        disk_total=total << 10,
        disk_free=free << 10,
        files_total=most,
        files_free=left,
        memory_total=amounts.get("MemTotal", 0),
        memory_free=amounts.get("MemAvailable", amounts.get("MemFree", 0)),
        addresses=addresses(routes),
        listening=frozenset(doors(sockets)),
        outgoing=(low, high),
    )


def _columns(said: str) -> tuple[int, int]:
    """(all, free) of the last line of what `df -P` prints."""
    columns = (said.strip().splitlines() or [""])[-1].split()
    if len(columns) <= 5 or not (columns[1].isdigit() and columns[3].isdigit()):  # noqa: PLR2004  POSIX
        return 0, 0
    return int(columns[1]), int(columns[3])
