"""Several changes are one write; none is lost."""

from __future__ import annotations

import asyncio

from bayplan.errors import GatewayError
from bayplan.gateways.saver import Saver

LONG = 60.0


class Writes:
    """Counts; holds a write back while `go` is not set."""

    def __init__(self) -> None:
        self.begun = self.done = 0
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()

    async def save(self) -> None:
        self.begun += 1
        self.began.set()
        await self.go.wait()
        self.done += 1


async def test_changes_in_a_row_are_one_write() -> None:
    writes = Writes()
    saver = Saver(writes.save, LONG)
    for _ in range(5):
        saver.soon()
    assert saver.is_due
    await saver.close()
    assert writes.done == 1
    assert not saver.is_due


async def test_a_change_during_a_write_is_written_after_it() -> None:
    writes = Writes()
    writes.go.clear()
    saver = Saver(writes.save, 0.0)
    saver.soon()
    await writes.began.wait()
    saver.soon()
    writes.go.set()
    await saver.close()
    assert writes.done == 2


async def test_dropped_is_not_written_and_one_under_way_is_waited_for() -> None:
    writes = Writes()
    saver = Saver(writes.save, LONG)
    saver.soon()
    await saver.drop()
    assert (writes.begun, saver.is_due) == (0, False)
    writes.go.clear()
    hurried = Saver(writes.save, 0.0)
    hurried.soon()
    await writes.began.wait()
    dropping = asyncio.create_task(hurried.drop())
    await asyncio.sleep(0)
    assert not dropping.done()
    writes.go.set()
    await dropping
    assert writes.done == 1


async def test_a_write_that_fails_ends_and_the_next_is_tried() -> None:
    tried = 0

    async def fails() -> None:
        nonlocal tried
        tried += 1
        raise GatewayError("no")

    saver = Saver(fails, 0.0)
    for wanted in (1, 2):
        saver.soon()
        await saver.close()
        assert tried == wanted
        assert not saver.is_due
