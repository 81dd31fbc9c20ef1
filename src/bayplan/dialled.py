"""What `Reach.dial` tells: where on this machine a connection to a host begins."""

from __future__ import annotations

import asyncio


def place_of(dialled: str) -> str | tuple[str, int]:
    """The path of a UNIX socket (`unix:/path`), or an address and a port (`tcp:ip:port`)."""
    kind, _, place = dialled.partition(":")
    if kind == "unix":
        return place
    address, _, port = place.rpartition(":")
    return address, int(port)


async def connected(dialled: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection there. Raises OSError."""
    place = place_of(dialled)
    if isinstance(place, str):
        return await asyncio.open_unix_connection(place)
    return await asyncio.open_connection(*place)
