"""A command on this process's standard streams."""

from __future__ import annotations

import os
import sys
from typing import cast

import pytest
from aiodocker.stream import Message, Stream

from bayplan.engines.attach import both_ways


class Talking:
    """A connection to a command that never stops."""

    _resp = None

    async def read_out(self) -> Message:
        return Message(self.stream, b"y\n")

    def __init__(self, stream: int) -> None:
        self.stream = stream


@pytest.mark.parametrize(("number", "name"), [(1, "stdout"), (2, "stderr")])
async def test_a_reader_that_went_away_ends_what_never_stops(
    number: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as unread:
        monkeypatch.setattr(sys, name, unread)
        os.close(reading)
        assert not await both_ways(cast("Stream", Talking(number)), stdin=False)
