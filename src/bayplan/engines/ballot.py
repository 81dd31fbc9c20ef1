"""One round of asking hosts for the lock: who votes for us, whose the others are, and who says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bayplan import labels
from bayplan.errors import BayplanError, HostRefusedError, HostUnreachableError
from bayplan.ports import Claim, HeldContainer

FIRST_ALONE = 0.5  # seconds that a host is asked before another is asked in its place
ANSWER = 10.0  # seconds for a host to answer


@dataclass(frozen=True, slots=True)
class Taken:
    """Another has the name on a host. container: its id; state: as the engine spells it, "" when it has gone meanwhile.

    claim None: it says not whose.
    """

    host: str
    container: str
    claim: Claim | None
    state: str

    @property
    def starting(self) -> bool:
        """It is not running yet."""
        return self.state == "created"

    @property
    def ended(self) -> bool:
        """Nobody holds it any more, and its engine has not removed it."""
        return self.state in ("exited", "dead")


Ask = Callable[[str], Awaitable[HeldContainer | Taken]]


@dataclass(slots=True)
class Votes:
    """What the hosts said in one round. unable: they answered, and let us not in, or the lock's container cannot be had
    there.
    """

    held: dict[str, HeldContainer] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    unable: dict[str, BayplanError] = field(default_factory=dict)


class Round:
    """Asking as many hosts as are needed: the first one first, and others for those that do not answer.

    ask: wins one host, raises BayplanError or TimeoutError when it does not answer. asking: gets what is asked, also
    what nobody waits for any more. spare: how many may be another's before it is over. With none, those who race are
    told apart by the first host.
    """

    def __init__(
        self, ask: Ask, hosts: Sequence[str], need: int, asking: set[asyncio.Task[None]], *, spare: int
    ) -> None:
        self._ask_host, self._left, self._need, self._spare = ask, list(hosts), need, spare
        self._unanswered = asking
        self._votes = Votes()
        self._asking: set[asyncio.Task[None]] = set()
        self._over = False

    async def run(self) -> Votes:
        """When most are ours, or too many are another's, or nobody is left to be asked. One that does not run may have
        been left by a process that is dead: it is no vote, and does not stop us.
        """
        self._start(1)
        try:
            while self._asking and not self._is_lost() and len(self._votes.held) < self._need:
                done, _ = await asyncio.wait(self._asking, timeout=FIRST_ALONE, return_when=asyncio.FIRST_COMPLETED)
                self._asking -= done
                for task in done:
                    task.result()
                if not self._is_lost():
                    short = self._need - len(self._votes.held) - len(self._asking)
                    self._start(short if done else max(short, 1))
        except BaseException:
            await asyncio.shield(self.end())
            raise
        return self._votes

    def _is_lost(self) -> bool:
        return sum(not t.starting for t in self._votes.taken) > self._spare

    async def end(self, *, keep: bool = False) -> None:
        """Nothing that comes later is kept, nor, unless told so, what is held already."""
        self._over = True
        if not keep:
            await let_go(self._votes.held.values())

    def _start(self, count: int) -> None:
        count = max(count, 0)
        for host in self._left[:count]:
            task = asyncio.create_task(self._ask(host))
            self._asking.add(task)
            self._unanswered.add(task)
            task.add_done_callback(self._unanswered.discard)
        self._left = self._left[count:]

    async def _ask(self, host: str) -> None:
        try:
            said = await self._ask_host(host)
        except TimeoutError:
            self._votes.silent[host] = f"no answer within {ANSWER:g} s"
        except HostRefusedError as error:
            self._votes.unable[host] = error
        except HostUnreachableError as error:
            self._votes.silent[host] = error.what
        except BayplanError as error:
            self._votes.unable[host] = error
        else:
            await self._count(host, said)

    async def _count(self, host: str, said: HeldContainer | Taken) -> None:
        if isinstance(said, Taken):
            self._votes.taken.append(said)
        elif self._over:
            await said.let_go()
        else:
            self._votes.held[host] = said


def read_claim(told: Mapping[str, str]) -> Claim | None:
    """From the labels of a lock's container; None if they are not as we write them."""
    try:
        return Claim(told[labels.LOCK_BY], told[labels.LOCK_DOING], float(told[labels.LOCK_AT]))
    except (KeyError, ValueError):
        return None


async def let_go(held: Iterable[HeldContainer]) -> None:
    """All of them, whatever becomes of any."""
    await asyncio.gather(*(one.let_go() for one in held), return_exceptions=True)
