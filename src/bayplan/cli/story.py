"""What a run does to a fleet, in as few lines as tell it: that a replica takes traffic is told once, with its own host,
however many gateways lead to it; what happens to several of a host in one pass is one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from bayplan.cli.gateway_words import changes
from bayplan.converge.outcome import PassEvent, StepEvent
from bayplan.errors import BayplanError
from bayplan.facts import Facts, Replica
from bayplan.plan.replica import slot_and_host
from bayplan.plan.standing import endpoints
from bayplan.plan.steps import Configure, Plan, PoolChange, Pull, Rewrite, Run, Start, Step, Stop, kind, subject
from bayplan.routing import Table

_REPLICA = re.compile(r"(.+)-(\d+)-r(\d+)")
_OWN_REGISTRY = re.compile(r"localhost:\d+/")
RANGE = 3  # replicas in a row that are told as the first and the last

Name = tuple[str, str]  # a replica's host and its name


@dataclass(frozen=True, slots=True)
class _Phrase:
    """What is told around names; `many` in the place of `after` where they are several."""

    before: str = ""
    after: str = ""
    many: str = ""

    def of(self, names: Iterable[str]) -> str:
        names = tuple(names)
        return f"{self.before}{_in_short(names)}{self.many if self.many and len(names) > 1 else self.after}"


_DONE: Final = {
    "pull": _Phrase("pulled "),
    "system": _Phrase("started "),
    "deliver": _Phrase("has secrets and configs of "),
    "network": _Phrase("created network "),
    "start": _Phrase("started again "),
    "rename": _Phrase("has its name again: "),
    "stop": _Phrase("stopped "),
    "remove": _Phrase("removed "),
}
_DRAINS: Final = _Phrase(after=" drains", many=" drain")
_TAKES_TRAFFIC: Final = _Phrase(after=" takes traffic", many=" take traffic")
_IS_READY: Final = _Phrase(after=" is ready", many=" are ready")
_IS_DONE: Final = _Phrase(after=" is done", many=" are done")


class Story:
    """Told each event of the loop's runs; gives the lines that it is time for. `rest` gives what is left."""

    def __init__(self) -> None:
        self._facts = Facts()
        self._serving: set[Name] = set()  # those of which it is known, or told
        self._out: set[Name] = set()  # those of which it is told that they leave, or left
        self._failed: set[Name] = set()
        self._staying: frozenset[str] = frozenset()  # servers that leave some gateways only
        self._changes: dict[str, tuple[str, ...]] = {}  # what a gateway is being configured to, by host
        self._pass: dict[_Phrase, dict[str, set[str]]] = {}  # what was done since the last pass: names by host

    def heard(self, event: StepEvent | PassEvent) -> Iterator[str]:
        """The lines to be told now."""
        if isinstance(event, PassEvent):
            yield from self._passed(event)
        elif event.state == "done":
            yield from self._done(event.step)
        elif event.state == "failed":
            yield f"{event.step.host}: {step_failed(event.step, event.error)}"
        elif event.state == "started" and isinstance(event.step, Configure):
            self._changes[event.step.host] = changes(self._table(event.step.host), event.step)

    def rest(self) -> Iterator[str]:
        """A line for each thing that was done since the last pass; hosts of which the same is told share it."""
        told, self._pass = self._pass, {}
        for phrase, by_host in told.items():
            hosts: dict[tuple[str, ...], list[str]] = {}
            for host in sorted(by_host, key=self._place):
                hosts.setdefault(tuple(sorted(by_host[host])), []).append(host)
            yield from (f"{', '.join(there)}: {phrase.of(names)}" for names, there in hosts.items())

    # -- a pass -------------------------------------------------------------------------------------------------------

    def _passed(self, event: PassEvent) -> Iterator[str]:
        yield from self.rest()
        for failure in event.plan.failures:
            name = (failure.host, failure.replica)
            if failure.replica and name not in self._failed:
                self._failed.add(name)
                yield f"{failure.host}: {failure.replica} failed: {failure.why}"
        for replica in _serving(event):
            name = (replica.host, replica.name)
            if name not in self._serving:
                self._serving.add(name)
                self._out.discard(name)
                if event.number > 1:  # what served before is no news
                    self._note(_how_it_serves(replica, event.facts), *name)
        yield from self.rest()
        self._facts, self._staying = event.facts, frozenset(_staying(event.facts, event.plan))

    # -- a step -------------------------------------------------------------------------------------------------------

    def _done(self, step: Step) -> Iterator[str]:
        if isinstance(step, Run | Start | Stop):
            self._serving.discard((step.host, subject(step)))
            self._out.discard((step.host, subject(step)))
        match step:
            case Run():
                self._failed.discard((step.host, subject(step)))
                ports = " ".join(f"{b.address}:{b.port}->{b.target}" for b in step.container.ports)
                yield f"{step.host}: started {step.container.name}" + (f"  {ports}" if ports else "")
            case PoolChange():
                self._pool_changed(step)
            case Configure():
                for change in self._changes.pop(step.host, ()):
                    self._note(_Phrase(change), step.host)
            case Rewrite():
                pass  # it goes on as it ran
            case Pull():
                self._note(_DONE["pull"], step.host, _short_image(step.image))
            case _:
                self._note(_DONE[kind(step)], step.host, subject(step))

    def _pool_changed(self, step: PoolChange) -> None:
        """Nothing of who comes in: it is told once it serves. Who goes, once; of who stays, which gateway drains it."""
        told = slot_and_host(step.server.name)
        host = told[1] if told else step.host
        name = (host, step.server.name.removesuffix(f".{host}"))
        if step.action == "drain" and step.server.name in self._staying:
            self._note(_Phrase("gateway drains ", f": {step.why}"), step.host, name[1])
        elif step.action == "drain" and name not in self._out:
            self._note(_DRAINS, *name)
        elif step.action == "leave" and name not in self._out and not self._stands(name):
            self._note(_Phrase(after=f" left the pools: {step.why}"), *name)
        else:
            return
        if step.server.name not in self._staying:
            self._out.add(name)
            self._serving.discard(name)

    def _note(self, phrase: _Phrase, host: str, name: str = "") -> None:
        self._pass.setdefault(phrase, {}).setdefault(host, set()).add(name)

    def _stands(self, name: Name) -> bool:
        host = self._facts.hosts.get(name[0])
        return host is not None and any(r.name == name[1] for r in host.engine.replicas)

    def _place(self, host: str) -> int:
        """In fleet.yaml's order."""
        known = list(self._facts.hosts)
        return known.index(host) if host in known else len(known)

    def _table(self, host: str) -> Table:
        known = self._facts.hosts.get(host)
        return known.gateway.table if known and known.gateway else Table()


def step_failed(step: Step, error: BayplanError | None) -> str:
    """What was to be done and why it was not. An error that names it needs no other name before it."""
    what, about = error.what if error else "failed", subject(step)
    whose = "gateway: " if isinstance(step, PoolChange) else ""
    return what if about and about in what else f"{whose}{' '.join((kind(step), about)).rstrip()}: {what}"


def _serving(event: PassEvent) -> Iterator[Replica]:
    """Those that serve, and jobs that are done."""
    ids = set(event.plan.serving)
    return (r for r in event.facts.replicas() if r.id in ids or r.done)


def _how_it_serves(replica: Replica, facts: Facts) -> _Phrase:
    if replica.done:
        return _IS_DONE
    return _TAKES_TRAFFIC if any(e.facts.takes_traffic for e in endpoints(replica, facts)) else _IS_READY


def _staying(facts: Facts, plan: Plan) -> Iterator[str]:
    """Servers that a gateway is to drain and another goes on leading to."""
    going = {(s.host, s.pool, s.server.name): s for s in plan.steps if isinstance(s, PoolChange)}
    for name in {s.server.name for s in going.values() if s.action == "drain"}:
        there = (e for e in facts.endpoints.get(name, ()) if e.facts.takes_traffic)
        if any((e.gateway, e.pool, name) not in going for e in there):
            yield name


def _short_image(image: str) -> str:
    """Without the digest, which is told where it is pinned, and without the fleet's own registry."""
    return _OWN_REGISTRY.sub("", image.partition("@")[0], count=1)


def _in_short(names: Iterable[str]) -> str:
    """`shop-web-2-r7, shop-api-{1,3}-r7`, as a shell has it: replicas of one release of a service share a name."""
    found: dict[tuple[str, str] | str, list[int]] = {}
    for name in names:
        match = _REPLICA.fullmatch(name)
        found.setdefault((match[1], match[3]) if match else name, []).append(int(match[2]) if match else 0)
    return ", ".join(k if isinstance(k, str) else f"{k[0]}-{_slots(sorted(n))}-r{k[1]}" for k, n in found.items())


def _slots(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    if len(numbers) >= RANGE and all(b == a + 1 for a, b in pairwise(numbers)):
        return f"{{{numbers[0]}..{numbers[-1]}}}"
    return f"{{{','.join(map(str, numbers))}}}"
