"""What one run has learnt so far, for the planner: kept up as steps end and hosts are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bayplan import labels
from bayplan.facts import Binding, Facts
from bayplan.plan.goal import Memory
from bayplan.plan.steps import Plan, Pull, Run
from bayplan.ports import Clock

AVOIDED = 3  # hosts that cannot fetch an image, for which others are taken


class Learnt:
    """memory: all of it, a value."""

    def __init__(self, clock: Clock) -> None:
        self.memory = Memory()
        self._clock = clock

    def saw(self, facts: Facts) -> None:
        """When each replica was first seen, and where."""
        self._note_stood(
            {h.name: frozenset((r.app, r.service, r.slot) for r in h.engine.replicas) for h in facts.reachable()}
        )
        now, known = self._clock.now(), self.memory.first_seen
        if fresh := {r.id: now for r in facts.replicas() if r.id and r.id not in known}:
            self.memory = replace(self.memory, first_seen={**known, **fresh})

    def planned(self, plan: Plan) -> None:
        """Which services have failed; since when what was started serves, and until when anything did."""
        given_up = self.memory.given_up | {f.service for f in plan.failures if not f.tolerated}
        self.memory = replace(self.memory, given_up=given_up)
        serving, known = dict.fromkeys(plan.serving, self._clock.now()), self.memory
        begun = {r: now for r, now in serving.items() if r in known.tried}
        self.memory = replace(known, served={**begun, **known.served}, serving={**known.serving, **serving})

    def expects(self, step: Run) -> None:
        """A replica may stand where one was to be started, also when its host falls silent over it."""
        self._note_stood({step.host: frozenset({(step.container.labels[labels.APP], step.service, step.slot)})})

    def tried(self, container: str) -> None:
        """This run has started it."""
        first = {container: self._clock.now()}
        self.memory = replace(
            self.memory, tried=self.memory.tried | {container}, first_seen={**self.memory.first_seen, **first}
        )

    def found_taken(self, host: str, ports: Iterable[Binding]) -> bool:
        """Something that no engine tells of holds one of these; whether that is news."""
        taken = {(host, b.port) for b in ports}
        is_news = not taken <= self.memory.taken
        self.memory = replace(self.memory, taken=self.memory.taken | taken)
        return is_news

    def cannot_fetch(self, step: Pull, why: str) -> None:
        """Replicas of that image go to other hosts. Where many cannot fetch it, more will not be able to, either."""
        known = self.memory.unfetched
        if sum(image == step.image for _, image in known) < AVOIDED:
            self.memory = replace(self.memory, unfetched={**known, (step.host, step.image): why})

    def _note_stood(self, there: Mapping[str, frozenset[tuple[str, str, int]]]) -> None:
        known = self.memory.stood
        if any(not slots <= known.get(host, frozenset()) for host, slots in there.items()):
            more = {host: known.get(host, frozenset()) | slots for host, slots in there.items()}
            self.memory = replace(self.memory, stood={**known, **more})
