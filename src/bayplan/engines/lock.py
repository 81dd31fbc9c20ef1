"""The lock of one operator at a time: a container of one name on most of the hosts, each held by our connection.

An engine gives a name once, so of those who race for a host one wins, and only one can win most of the hosts. A host
that does not answer may have been won by another: most is counted of all that have a vote. Of two, the first decides.

The name is ours once the container is created; it is started meanwhile, which takes ten times as long and costs as much
as starting a replica: only as many at once as no other hosts could make up for. One that stays created was left by a
process that ended in between; it is passed over, and removed by whoever has to wait for it, or has the lock next.

For a host that falls silent another is won before anybody else could have the first: a container outlives its holder's
last sign of life by longer than the holder waits for an answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from bayplan import labels
from bayplan.container import Container
from bayplan.engines.ballot import ANSWER, Round, Taken, Votes, read_claim
from bayplan.engines.lock_hold import EngineHold, Others
from bayplan.errors import BayplanError, ConflictError, ImageError, LockedError, NoMajorityError, NotFoundError
from bayplan.plan.names import lock_name
from bayplan.ports import Claim, Clock, Credentials, Engine, HeldContainer, Hold
from bayplan.units import show_seconds

Say = Callable[[str], None]

DYING = 3.0  # seconds for a holder that has just died to vanish; without more patience, nobody waits longer
STUCK = 20.0  # seconds that a container may be created and not running; longer than `hold.START`
SKEW = 2.0  # seconds that two clocks may differ
SLICE = 1.0  # seconds between looks at one that starts
MAKE_UP = 4.0  # seconds to win another host for one that fell silent; with `hold.ANSWER`, less than `hold.PATIENCE`
SPREAD = 0.1  # seconds within which those who waited try again
REST = 0.5  # seconds for what was asked and is not wanted any more to be answered and undone


class EngineLock:
    """Of one fleet. engines: by host, in fleet.yaml's order; image: one that every host has, or pulls for this.

    login: what an engine needs to pull it.
    """

    def __init__(
        self,
        fleet: str,
        image: str,
        engines: Mapping[str, Engine],
        clock: Clock,
        login: Callable[[], Awaitable[Credentials | None]] | None = None,
    ) -> None:
        self._engines, self._clock = engines, clock
        self._asking: set[asyncio.Task[None]] = set()  # also those whose answer nobody waits for any more
        self._fleet, self._image, self._login = fleet, image, login

    async def take(self, claim: Claim, *, patience: float, gone: frozenset[str], say: Say) -> Hold:
        """Raises LockedError, NoMajorityError."""
        voters = _voters(self._engines, gone)
        need = len(voters) // 2 + 1
        began, was_free, starting, is_last = self._clock.now(), True, dict[str, float](), False
        who: Claim | None = None
        while True:
            spare = len(voters) - need if is_last else 0
            asked = Round(lambda host: self._ask(host, claim, say), voters, need, self._asking, spare=spare)
            votes = await asked.run()
            if len(votes.held) >= need:
                await asked.end(keep=True)
                return self._hold_on(claim, voters, need, votes, was_free=was_free)
            await asked.end()
            if not votes.taken:
                await self._rest()
                raise _no_majority(voters, need, votes)
            other, now = min(votes.taken, key=lambda t: t.starting), self._clock.now()
            who = other.claim or who  # one that has just gone says nothing; in a crowd, whom it was before does
            seen = now - starting.setdefault(other.container, now) if other.starting else STUCK + SLICE
            left = max(max(patience, DYING) - (now - began), STUCK + SLICE - seen)
            is_stuck = other.starting and seen >= STUCK
            if left <= 0 and not is_stuck:
                await self._rest()
                if not is_last:  # one host may have been silent, and may keep what was let go elsewhere
                    is_last = True
                    continue
                raise _locked(replace(other, claim=who), lock_name(self._fleet))
            if was_free and patience > 0:
                say(f"waits for {describe(other.claim)}")
            was_free = False
            if is_stuck:
                await self._break(other)
            await self._until_gone(other, SLICE if other.starting else left)

    def _hold_on(self, claim: Claim, voters: Sequence[str], need: int, votes: Votes, *, was_free: bool) -> EngineHold:
        """As many as the others could make up for are started later: most runs are over by then."""
        early = max(1, 2 * need - len(voters))
        later = frozenset(list(votes.held)[early:])
        others = [v for v in voters if v not in votes.held]
        return EngineHold(
            votes.held,
            need,
            later=later,
            others=Others(
                clear=lambda: self._clear(others),
                another=lambda gone: self._another(claim, [v for v in voters if v not in gone]),
                is_silent=self._is_silent,
                rest=self._rest,
            ),
            was_free=was_free,
        )

    async def _another(self, claim: Claim, hosts: Sequence[str]) -> tuple[str, HeldContainer] | None:
        """The first of these hosts that can be won; tried again for a moment, as others who ask let it go again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MAKE_UP):
                while hosts:
                    for host in hosts:
                        with suppress(BayplanError):
                            said = await self._ask(host, claim, lambda _: None)
                            if not isinstance(said, Taken):
                                return host, said
                    await self._clock.sleep(SPREAD)
        return None

    async def _is_silent(self, host: str) -> bool:
        """Whether the host, and not the container, is what ended: a container that is gone may be another's by now."""
        try:
            async with asyncio.timeout(MAKE_UP):
                await self._whose(host)
        except (BayplanError, TimeoutError):
            return True
        return False

    async def _clear(self, hosts: Sequence[str]) -> None:
        """Most hosts are ours: what waits on others to be started is nobody's."""
        await asyncio.gather(*(self._clear_one(host) for host in hosts))

    async def _clear_one(self, host: str) -> None:
        with suppress(BayplanError, TimeoutError):
            async with asyncio.timeout(ANSWER):
                there = await self._whose(host)
                if there.starting:
                    await self._break(there)

    async def _rest(self) -> None:
        if self._asking:
            await asyncio.wait(self._asking, timeout=REST)

    async def _ask(self, host: str, claim: Claim, say: Say) -> HeldContainer | Taken:
        """One host. Raises BayplanError when it does not answer, or cannot have the image."""
        try:
            return await self._win(host, claim)
        except NotFoundError:
            say(f"{host}: fetches {self._image}, for the lock")
            login = await self._login() if self._login else None
            await self._engines[host].pull(self._image, lambda _: None, login)
        return await self._win(host, claim)

    async def _win(self, host: str, claim: Claim) -> HeldContainer | Taken:
        """One that has ended is nobody's: an engine that cannot remove it at once would leave it there for ever."""
        try:
            return await self._hold(host, claim)
        except ConflictError:
            there = await self._whose(host)
        if not there.ended:
            return there
        await self._break(there)
        try:
            return await self._hold(host, claim)
        except ConflictError:
            return await self._whose(host)

    async def _hold(self, host: str, claim: Claim) -> HeldContainer:
        told = {
            labels.FLEET: self._fleet,
            labels.ROLE: "lock",
            labels.LOCK_BY: claim.by,
            labels.LOCK_DOING: claim.doing,
            labels.LOCK_AT: f"{claim.at:.3f}",
        }
        # Its own network, even none, costs the engine twice as much to start (0.15 s of a core more, on 20.10).
        container = Container(lock_name(self._fleet), self._image, labels=told, network="host", cap_drop=("ALL",))
        async with asyncio.timeout(ANSWER):
            return await self._engines[host].hold(container)

    async def _whose(self, host: str) -> Taken:
        """One that has gone meanwhile has no id; nobody needs to wait for it."""
        try:
            seen = await self._engines[host].inspect(lock_name(self._fleet))
        except NotFoundError:
            return Taken(host, "", None, "")
        return Taken(host, seen["Id"], read_claim(seen["Config"]["Labels"]), seen["State"]["Status"])

    async def _until_gone(self, other: Taken, seconds: float) -> None:
        if other.container:
            with suppress(TimeoutError, BayplanError):
                async with asyncio.timeout(seconds if seconds < float("inf") else None):
                    await self._engines[other.host].until_removed(other.container)
        await self._clock.sleep(random.uniform(0, SPREAD))  # noqa: S311  so that those who wait do not all come at once

    async def _break(self, other: Taken) -> None:
        """By its id: should it be another's by now, that one stays; so does one that runs by now."""
        with suppress(BayplanError):
            there = await self._whose(other.host)
            if there.container == other.container and (there.starting or there.ended):
                await self._engines[other.host].remove(other.container, 0)


def describe(claim: Claim | None) -> str:
    """`ann@laptop: up site, since 14:02:11 (12 s ago)`; the time is the claimant's own machine's."""
    if claim is None:
        return "somebody else"
    age = time.time() - claim.at
    ahead = f"by its clock, which is {show_seconds(-age)} or more ahead of this machine's"
    ago = f"{show_seconds(max(0.0, age))} ago" if age > -SKEW else ahead
    return f"{claim.by}: {claim.doing}, since {datetime.fromtimestamp(claim.at).astimezone():%H:%M:%S} ({ago})"


def _voters(engines: Iterable[str], gone: frozenset[str]) -> tuple[str, ...]:
    """Of two hosts no one is most: the first decides."""
    voters = tuple(name for name in engines if name not in gone)
    if not voters:
        raise NoMajorityError("every host is said to be gone", todo="leave one out of --assume-down")
    return voters[:1] if len(voters) == 2 else voters  # noqa: PLR2004


def _locked(other: Taken, name: str) -> LockedError:
    seen = f" ({name} on {other.host}, {other.state})" if other.container else ""
    who = f": {describe(other.claim)}" if other.claim else ""
    return LockedError(
        f"somebody else is changing the fleet{who}; nothing was changed",
        todo="run it again when they are done, or let it wait: --wait. If their bayplan hangs, that takes seconds only"
        + seen,
    )


def _no_majority(voters: Sequence[str], need: int, votes: Votes) -> NoMajorityError:
    told = [f"{host}: {why}" for host, why in votes.silent.items()]
    for host, error in votes.unable.items():
        told += [f"{host}: {error.what}", *([f"  {error.todo}"] if error.todo else [])]
    few = f"{need} of {len(voters)} hosts" if len(voters) > 1 else voters[0]
    if votes.silent:
        what = f"{few} must answer to be sure that nobody else is changing the fleet, and {len(votes.held)} did"
        gone = " ".join(f"--assume-down {host}" for host in votes.silent)
        told.append(f"if what does not answer is gone for good, it has no vote: {gone}")
    else:
        what = f"{few} must hold the lock that keeps others from changing the fleet, and {len(votes.held)} can"
    if any(isinstance(error, ImageError) for error in votes.unable.values()):
        told.append("it is of the gateways' image: gateway: {image: …} in fleet.yaml may name it elsewhere")
    return NoMajorityError(f"{what}; nothing was changed", todo="\n  ".join(told))
