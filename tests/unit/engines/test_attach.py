"""A command on this process's standard streams."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiodocker.execs import Exec
from aiodocker.stream import Message, Stream

from bayplan.engines import attach
from bayplan.engines.attach import both_ways
from bayplan.engines.client import Client
from bayplan.errors import HostUnreachableError


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


class Asked:
    """An engine that is asked how a command goes."""

    host = "h1"

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        yield


class Command:
    """It goes on for so many looks."""

    def __init__(self, looks: float) -> None:
        self._looks = looks

    async def inspect(self) -> dict[str, object]:
        self._looks -= 1
        return {"Running": self._looks > 0, "ExitCode": None if self._looks > 0 else 3, "Pid": 7}


async def test_what_is_not_heard_any_more_has_not_ended_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "_BETWEEN", 0)
    client = cast("Client", Asked())
    assert attach.status(await attach.ended(client, cast("Exec", Command(2)))) == 3
    with pytest.raises(HostUnreachableError, match="broke before the command ended"):
        await attach.ended(client, cast("Exec", Command(math.inf)))
