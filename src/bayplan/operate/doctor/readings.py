"""What a host's kernel tells of it, asked in one command that any login may run, and read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayplan.listening import TABLES
from bayplan.operate.doors import Door, doors

_MARK = "=== bayplan"
_SCRIPT = f"""\
df -Pk "$1" 2>/dev/null; echo '{_MARK}'
cat /proc/meminfo; echo '{_MARK}'
cat /proc/net/fib_trie; echo '{_MARK}'
{" ".join(TABLES)} 2>/dev/null; echo '{_MARK}'
cat /proc/sys/net/ipv4/ip_local_port_range"""
_LOCAL = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)\s*\n\s*/32 host LOCAL")
_LINE = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Readings:
    """Bytes. addresses: the host's own, IPv4. listening: on TCP. outgoing: the range for outgoing connections."""

    disk_total: int
    disk_free: int
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
    disk, memory, routes, sockets, outgoing = (*said.split(_MARK), "", "", "", "", "")[:5]
    amounts = {key: int(value) << 10 for key, value in _LINE.findall(memory)}
    columns = (disk.strip().splitlines() or [""])[-1].split()
    total, free = (int(columns[1]) << 10, int(columns[3]) << 10) if len(columns) > 5 else (0, 0)  # noqa: PLR2004  POSIX
    low, high = (*map(int, outgoing.split()), 0, 0)[:2]
    return Readings(
        disk_total=total,
        disk_free=free,
        memory_total=amounts.get("MemTotal", 0),
        memory_free=amounts.get("MemAvailable", amounts.get("MemFree", 0)),
        addresses=frozenset(_LOCAL.findall(routes)),
        listening=frozenset(doors(sockets)),
        outgoing=(low, high),
    )
