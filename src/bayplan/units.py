"""Quantities as people write them: "0.5" cores, "512M" bytes, "1m30s"; and versions, which are compared as numbers."""

from __future__ import annotations

import re

_BYTES = re.compile(r"^(\d+(?:\.\d+)?)\s*([kmgtp]?)i?b?$", re.IGNORECASE)
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d|w)")
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}


def parse_bytes(text: str | float) -> int:
    """Bytes of "512M", "1.5g", "1gb", 1024 (Compose: "Specifying byte values"; powers of 1024). Raises ValueError."""
    match = _BYTES.match(str(text).strip())
    if not match:
        msg = f"{text!r} is not an amount of memory, such as 512M or 2G"
        raise ValueError(msg)
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


def parse_cpus(text: str | float) -> float:
    """Cores of "0.5" or 2. Raises ValueError."""
    try:
        cpus = float(text)
    except ValueError:
        cpus = -1.0
    if not 0 <= cpus < float("inf"):
        msg = f"{text!r} is not a number of cores, such as 0.5"
        raise ValueError(msg)
    return cpus


def parse_duration(text: str | float) -> float:
    """Seconds of "1m30s", "500ms" (Compose: "Specifying durations"). Raises ValueError.

    Of numbers only 0 has no unit, as in Compose (compose-go, by way of go-str2duration).
    """
    written = str(text).strip()
    parts = _DURATION.findall(written)
    if parts and "".join(n + u for n, u in parts) == written:
        return sum(float(n) * _SECONDS[u] for n, u in parts)
    if written == "0":
        return 0.0
    why = f": it has no unit, as {written}s has" if re.fullmatch(r"\d+(\.\d+)?", written) else ", such as 30s or 1m30s"
    msg = f"{text!r} is not a duration{why}"
    raise ValueError(msg)


def parse_percent(text: str | float) -> float:
    """A fraction of "20%" or 0.2. Raises ValueError."""
    written = str(text).strip()
    try:
        value = float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        msg = f"{text!r} is not a share, such as 20%"
        raise ValueError(msg)
    return value


def parse_api(text: str) -> tuple[int, int]:
    """The version "1.41" of the Engine API, to be compared. Raises ValueError."""
    major, minor = text.split(".")
    return int(major), int(minor)


def show_bytes(amount: float) -> str:
    """ "512 MB": three digits at most, powers of 1024."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":  # noqa: PLR2004  a fourth digit starts here
            return f"{amount:.0f} {unit}" if amount >= 10 or amount == int(amount) else f"{amount:.1f} {unit}"  # noqa: PLR2004
        amount /= 1024
    raise AssertionError


def show_seconds(seconds: float) -> str:
    """ "0.8 s", "42 s", "3 min", "2 h", "5 d"."""
    for limit, size, unit in ((10, 1, "s"), (100, 1, "s"), (6000, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}" if limit == 10 else f"{seconds / size:.0f} {unit}"  # noqa: PLR2004
    return f"{seconds / 86400:.0f} d"
