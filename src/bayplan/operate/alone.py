"""Changing the fleet while nobody else does: what every verb that changes something begins with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from bayplan.converge.sight import Sight
from bayplan.errors import BayplanError, NoMajorityError
from bayplan.facts import Facts
from bayplan.operate import own_address, registry_door
from bayplan.operate.events import OnEvent, Stage
from bayplan.operate.operator import operator
from bayplan.ports import Claim, FleetPorts, Hold

T = TypeVar("T")

FRESH = 0.25  # seconds: a holder's container goes at least so long after the holder's last step


async def alone(
    ports: FleetPorts,
    doing: str,
    work: Callable[[Sight], Coroutine[Any, Any, T]],
    on: OnEvent,
    *,
    gone: frozenset[str] = frozenset(),
    patience: float = 0.0,
) -> T:
    """`work` while the lock is ours; given the fleet as it was seen meanwhile. patience: seconds to wait for it.

    Raises LockedError, NoMajorityError, NoHostError; UsageError for a private address that its host does not have;
    PortTakenError where another's registry would be taken for the fleet's; LockLostError when the lock was lost, and
    `work` is cancelled.
    """
    sight, began = Sight(ports), ports.clock.now()
    claim = Claim(operator(), doing, time.time())
    looking = asyncio.create_task(sight.look())
    hold: Hold | None = None
    waited = False

    def say(text: str) -> None:
        nonlocal waited
        if hold is None:  # a host whose vote was not needed may yet fetch what it votes with
            waited = True
            on(Stage("lock", text))

    taking = asyncio.create_task(ports.lock.take(claim, patience=patience, gone=gone, say=say))
    try:
        hold, facts = await _both(looking, taking)
        if waited or not hold.was_free:
            on(Stage("hosts", "hosts"))
        if not hold.was_free:
            facts = await sight.look(whole=True)
        elif ports.clock.now() - began > FRESH:  # another's last steps may not have been seen
            sight.outdate()
            facts = await sight.look()
        await own_address.check(ports, facts)
        await registry_door.check(ports, facts)
        return await _unless_lost(hold, work(sight))
    finally:
        await asyncio.shield(_put_down(ports, hold, looking, taking, sight))


async def _both(looking: asyncio.Task[Facts], taking: asyncio.Task[Hold]) -> tuple[Hold, Facts]:
    """Of a fleet of which no host answers, that is told. A lock that another has is told before slow hosts answer."""
    try:
        await asyncio.wait((looking, taking), return_when=asyncio.FIRST_EXCEPTION)
        return await asyncio.gather(taking, looking)
    except NoMajorityError:
        await looking
        raise


async def _put_down(
    ports: FleetPorts, hold: Hold | None, looking: asyncio.Task[Any], taking: asyncio.Task[Hold], sight: Sight
) -> None:
    """What gateways are yet to write is written while nobody else writes there."""
    looking.cancel()
    if hold is None and not taking.cancel():  # it was ours, and nobody knew yet
        with suppress(BayplanError, asyncio.CancelledError):
            hold = await taking
    await asyncio.gather(looking, taking, return_exceptions=True)
    await sight.rest()
    if hold is not None:
        await asyncio.gather(*(gateway.close() for gateway in ports.gateways.values()), return_exceptions=True)
        await hold.release()


async def _unless_lost(hold: Hold, work: Coroutine[Any, Any, T]) -> T:
    doing, losing = asyncio.create_task(work), asyncio.create_task(hold.until_lost())
    try:
        await asyncio.wait((doing, losing), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return await doing
        raise await losing
    finally:
        losing.cancel()
        doing.cancel()
        await asyncio.gather(doing, losing, return_exceptions=True)
