"""Steps: what one pass is to do. Data only; they know no client, and each says why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bayplan.container import Container
from bayplan.facts import Role
from bayplan.routing import Server, Table


@dataclass(frozen=True, slots=True)
class Network:
    """Create the app's bridge on a host. bridge: the interface's name (15 characters at most)."""

    host: str
    name: str
    bridge: str
    why: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class System:
    """Start, or replace, a container that bayplan itself needs on a host.

    aside: the name under which the one that is there goes on until the new one has taken over; "" removes it first.
    """

    host: str
    role: Role
    container: Container
    why: str
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Rename:
    """Give a container that bayplan itself needs its own name back: it is spoken to by that."""

    host: str
    name: str
    to: str
    why: str


@dataclass(frozen=True, slots=True)
class Pull:
    """Fetch an image to a host."""

    host: str
    image: str
    why: str


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a secret or config in a host's memory. source: its key in the app; its value is in no plan."""

    kind: Literal["secret", "config"]
    source: str
    path: str
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Put a service's secrets and configs into a host's memory."""

    host: str
    service: str
    items: tuple[Item, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """Create and start a new replica."""

    host: str
    service: str
    slot: int
    container: Container
    why: str


@dataclass(frozen=True, slots=True)
class Start:
    """Start a replica that is there and stopped (or paused).

    restart: what it is to have for a restart policy, whatever somebody gave it; "": what it has.
    """

    host: str
    service: str
    replica: str
    why: str
    restart: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a replica and keep it, so that its log can be read. grace: seconds; None: what it was started with."""

    host: str
    service: str
    replica: str
    grace: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop a replica and remove it. grace: seconds; None: what it was started with."""

    host: str
    service: str
    replica: str
    grace: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Give a gateway its listeners and pools; a seamless reload. Endpoints of pools that stay are kept."""

    host: str
    table: Table
    why: str


@dataclass(frozen=True, slots=True)
class PoolChange:
    """One endpoint of one pool of one gateway.

    join: known and checked, no traffic yet; ready: takes traffic; drain: finishes what it has; leave: gone.
    """

    host: str
    action: Literal["join", "ready", "drain", "leave"]
    pool: str
    server: Server
    why: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Write the running pools into the file that a gateway's restart reads."""

    host: str
    why: str


Step = Network | System | Rename | Pull | Deliver | Run | Start | Stop | Remove | Configure | PoolChange | Rewrite


def kind(step: Step) -> str:
    """The step's word in `plan --json`: run, pull, join, …"""
    return step.action if isinstance(step, PoolChange) else type(step).__name__.lower()


def subject(step: Step) -> str:
    """What the step acts on, by name: a replica, an image, a network, a role; "" for the host's gateway as a whole."""
    match step:
        case Network():
            return step.name
        case System():
            return step.role
        case Rename():
            return step.to
        case Pull():
            return step.image
        case Deliver():
            return step.service
        case Run():
            return step.container.name
        case Start() | Stop() | Remove():
            return step.replica
        case PoolChange():
            return step.server.name
        case Configure() | Rewrite():
            return ""


def key(step: Step) -> tuple[str, ...]:
    """What makes two steps the same work, whatever their reasons."""
    pool = step.pool if isinstance(step, PoolChange) else ""
    return (kind(step), step.host, subject(step), pool)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that time, not a step, will change. replica "" stands for the host as a whole.

    open_end: a job's own process says how long that takes.
    """

    host: str
    service: str
    replica: str
    why: str
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A replica that did not make it: it exited, or never became ready. Its service's rollout stands still.

    tolerated: it does not, by `update_config` (`max_failure_ratio`, `failure_action: continue`).
    """

    host: str
    service: str
    replica: str
    why: str
    tolerated: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A service of which nothing is started before another one is so far (`depends_on`). failed: it never will be."""

    service: str
    waits_for: str
    why: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a host cannot take a replica."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """Replicas that no host can take."""

    service: str
    count: int
    why: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Presumed:
    """A replica that may stand on a host that does not answer, so that none is started in its place."""

    service: str
    slot: int
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One pass. The steps are independent of each other, and no work is in it twice.

    serving: ids of containers that serve now: the run is to remember since when, and until when.
    """

    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    failures: tuple[Failure, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    presumed: tuple[Presumed, ...] = ()
    held: tuple[Held, ...] = ()
    serving: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do and nothing to wait for."""
        return not (self.steps or self.waiting)


def join(plans: Iterable[Plan]) -> Plan:
    """Several plans as one; of the same work, the first."""
    plans = tuple(plans)
    steps: dict[tuple[str, ...], Step] = {}
    for step in (s for p in plans for s in p.steps):
        steps.setdefault(key(step), step)
    return Plan(
        steps=tuple(steps.values()),
        waiting=tuple(w for p in plans for w in p.waiting),
        failures=tuple(f for p in plans for f in p.failures),
        unplaced=tuple(u for p in plans for u in p.unplaced),
        presumed=tuple(x for p in plans for x in p.presumed),
        held=tuple(h for p in plans for h in p.held),
        serving=tuple(s for p in plans for s in p.serving),
    )
