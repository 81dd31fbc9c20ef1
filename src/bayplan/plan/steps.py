"""Steps: what one pass is to do. Data only; they know no client, and each says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bayplan.container import Container
from bayplan.facts import Role, Server, Table


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
    """Start, or replace, a container that bayplan itself needs on a host."""

    host: str
    role: Role
    container: Container
    why: str


@dataclass(frozen=True, slots=True)
class Pull:
    """Fetch an image to a host."""

    host: str
    image: str
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
    """Start a replica that is there and stopped (or paused)."""

    host: str
    service: str
    replica: str
    why: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a replica and keep it, so that its log can be read. grace: seconds."""

    host: str
    service: str
    replica: str
    grace: float
    why: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop a replica and remove it. grace: seconds."""

    host: str
    service: str
    replica: str
    grace: float
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


Step = Network | System | Pull | Run | Start | Stop | Remove | Configure | PoolChange | Rewrite


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that time, not a step, will change. replica "" stands for the host as a whole."""

    host: str
    service: str
    replica: str
    why: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A replica that did not make it: it exited, or never became ready. Its service's rollout stands still."""

    host: str
    service: str
    replica: str
    why: str


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
    """One pass. The steps are independent of each other; converged: nothing in it but `presumed` and `unplaced`."""

    steps: tuple[Step, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    failures: tuple[Failure, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    presumed: tuple[Presumed, ...] = ()
