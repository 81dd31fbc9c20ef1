"""What planning works towards, and what one run remembers from pass to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bayplan.spec.model import App, Fleet

NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Goal:
    """The fleet and one release of an app on it.

    before: replicas by service that the release before asked for: what may stand on a host that does not answer. 0: the
    service ran before that.
    assume_down: hosts that a person judged down; what stood there is replaced. only: services to touch; None is all.
    moves: by service and slot, the host where it is to stand. stopped: services of which nothing is to run, and what
    there is of them is kept.
    """

    fleet: Fleet
    app: App
    release: int
    before: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    assume_down: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    moves: Mapping[tuple[str, int], str] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()

    def touches(self, service: str) -> bool:
        """Whether it is planned at all."""
        return self.only is None or service in self.only


@dataclass(frozen=True, slots=True)
class Memory:
    """What this run has learnt: facts that no host can tell.

    tried: ids of containers that this run started. first_seen: when it first saw an id (the clock's seconds).
    taken: (host, port) that something outside the engine turned out to hold. given_up: services whose replica failed.
    served: when a container that it started was first seen serving.
    serving: when any was last seen serving.
    stood: by host, (app, service, slot) of what it saw there or set out to start there.
    unfetched: why an image could not be fetched, by (host, image).
    """

    tried: frozenset[str] = frozenset()
    first_seen: Mapping[str, float] = field(default_factory=dict)
    taken: frozenset[tuple[str, int]] = frozenset()
    given_up: frozenset[str] = frozenset()
    served: Mapping[str, float] = field(default_factory=dict)
    serving: Mapping[str, float] = field(default_factory=dict)
    stood: Mapping[str, frozenset[tuple[str, str, int]]] = field(default_factory=dict)
    unfetched: Mapping[tuple[str, str], str] = field(default_factory=dict)
