"""What an engine sends of a container's log."""

from __future__ import annotations

import asyncio
import struct
from typing import cast

import pytest
from aiohttp import StreamReader

from bayplan.engines.streams import _frames
from bayplan.errors import EngineError


async def test_what_the_engine_says_of_itself_is_no_line_of_the_container_s() -> None:
    content = asyncio.StreamReader()
    for kind, said in ((1, b"2026-11-28T10:00:00.000000000Z one\n"), (3, b"Error grabbing logs: unexpected EOF\n")):
        content.feed_data(struct.pack(">BxxxL", kind, len(said)) + said)
    content.feed_eof()
    frames = _frames(cast("StreamReader", content))
    assert await anext(frames) == ("stdout", b"2026-11-28T10:00:00.000000000Z one\n")
    with pytest.raises(EngineError, match="Error grabbing logs: unexpected EOF"):
        await anext(frames)
