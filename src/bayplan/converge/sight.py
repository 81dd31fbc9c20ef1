"""What a run sees of the fleet, and when it looks again.

Looking costs an engine as much as a small step does, so a host is asked again when something of ours ended there, or
after a while; a gateway with pools, which is quick to ask and where replicas become ready, at every look. What an
engine said when it started a replica is as good as a look at it.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace

from bayplan.converge.observe import answered, missing_paths, says_kept, see_gateway, see_host, silent, unguarded
from bayplan.converge.overlay import started, with_replica
from bayplan.errors import BayplanError, HostUnreachableError
from bayplan.facts import Facts, HostFacts, Replica
from bayplan.plan.steps import Configure, Deliver, PoolChange, Pull, Rewrite, Run, Step
from bayplan.ports import FleetPorts

# Seconds that what was seen of a host counts, as long as nothing of ours ended there. No longer than `standing.SETTLE`:
# what is said to have settled must have been seen after that time.
GOOD_FOR = 1.0
ASK_AGAIN = 3.0  # seconds until a host that did not answer is asked again: it must not hold up the others
LONG = 3.0  # seconds without an answer, after which a host was not silent for a moment only


class Sight:
    """The latest facts of each host. is_good: the last look asked every host that was silent, or one has just been
    asked for long, and every other one is as seen a moment ago, so that what is decided on it may be the last word.
    """

    def __init__(self, ports: FleetPorts) -> None:
        self.is_good = False
        self._ports = ports
        self._known: dict[str, HostFacts] = {}
        self._seen: dict[str, float] = {}
        self._given_up: dict[str, float] = {}  # hosts that were asked for long and did not answer, and when that was
        self._changed: set[str] = set()
        self._images: dict[str, frozenset[str]] = {}
        self._started: dict[str, list[tuple[float, Replica]]] = defaultdict(list)  # since the last look, and when
        self._delivered: dict[str, set[str]] = defaultdict(set)
        self._paths: frozenset[str] = frozenset()
        self._missing: dict[str, frozenset[str]] = {}
        self._unguarded: dict[str, str] = {}  # what each guard, by its id, was found to be
        self._aside: dict[str, asyncio.Task[None]] = {}  # hosts that did not answer, being asked again

    @property
    def seen(self) -> Facts:
        """The fleet as the last look found it, and what was started since; nobody is asked. Hosts are in fleet.yaml's
        order.
        """
        return Facts({name: self._known[name] for name in self._ports.fleet.hosts})

    async def look(self, *, whole: bool = False) -> Facts:
        """The fleet now. whole: every host is asked. Raises NoHostError."""
        names = list(self._ports.fleet.hosts)
        asked = {n for n in names if whole or self._is_due(n)}
        asked -= {n for n in asked if not self._is_worth_waiting_for(n, whole=whole)}
        gateways = {n for n in names if n not in asked and self._has_pools(n)}
        self._changed -= asked  # what ends from now on counts for the next look
        await asyncio.gather(*(self._asking(n, whole=whole) for n in asked), *(self._gateway(n) for n in gateways))
        self.is_good = all(n in asked or self._known[n].reachable or self._is_given_up(n) for n in names)
        return answered(self._ports.fleet, self.seen)

    def outdate(self) -> None:
        """What was seen counts no more: the next look asks every host that answered. One that did not stays unknown."""
        self._changed |= set(self._known)

    def look_for(self, paths: frozenset[str], images: frozenset[str]) -> None:
        """What the app's replicas mount from their hosts and are made of: every host is asked once which of the paths
        it lacks, and once more for its images where it was seen to lack one, which may have been built there since.
        """
        if paths != self._paths:
            self._paths = paths
            self._missing.clear()
            self._changed |= set(self._ports.fleet.hosts)
        for host in [h for h, there in self._images.items() if not images <= there]:
            del self._images[host]
            self._changed.add(host)

    def started(self, step: Run, container: str) -> None:
        """The engine has started a replica and told its id."""
        replica = started(step, container)
        self._started[step.host].append((self._ports.clock.now(), replica))
        self._known[step.host] = with_replica(self._known[step.host], replica)

    def ended(self, step: Step, *, well: bool) -> None:
        """The step's host is not as it was seen."""
        if isinstance(step, Run) and well:
            return
        if isinstance(step, Deliver) and well:
            self._delivered[step.host] |= {item.path for item in step.items}
            self._known[step.host] = replace(self._known[step.host], delivered=frozenset(self._delivered[step.host]))
            return
        if isinstance(step, Pull) and well:
            self._images[step.host] = self._images.get(step.host, frozenset()) | {step.image}
        is_at_gateway = isinstance(step, PoolChange | Configure | Rewrite)
        if not (is_at_gateway and self._has_pools(step.host)):
            self._changed.add(step.host)

    def silent(self, host: str, error: HostUnreachableError) -> None:
        """It did not answer a step of ours: unknown, until it is asked again."""
        self._known[host] = silent(host, error)
        self._given_up.pop(host, None)
        self._seen[host] = self._ports.clock.now()

    async def rest(self) -> None:
        """Ask nobody any more: what asks is ended, and has ended."""
        asking = list(self._aside.values())
        self._aside.clear()
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _is_worth_waiting_for(self, host: str, *, whole: bool) -> bool:
        """A host that did not answer may take seconds not to answer again: the others do not wait for that."""
        known = self._known.get(host)
        if whole or known is None or known.reachable:
            return True
        if host not in self._aside:
            self._aside[host] = asyncio.create_task(self._host(host))
        return self._aside[host].done()

    def _asking(self, host: str, *, whole: bool) -> Awaitable[None]:
        """What asks it aside; anew where that has ended long ago, and it answered or everybody is to be asked."""
        task = self._aside.pop(host, None)
        if task is None:
            return self._host(host)
        is_old = task.done() and self._ports.clock.now() - self._seen[host] >= GOOD_FOR
        return self._host(host) if is_old and (whole or self._known[host].reachable) else task

    def _is_given_up(self, host: str) -> bool:
        return self._ports.clock.now() - self._given_up.get(host, -math.inf) < ASK_AGAIN

    def _is_due(self, host: str) -> bool:
        known = self._known.get(host)
        if known is None:
            return True
        age = self._ports.clock.now() - self._seen[host]
        return age >= GOOD_FOR or host in self._changed if known.reachable else age >= ASK_AGAIN

    def _has_pools(self, host: str) -> bool:
        """Whether replicas become ready at its gateway."""
        gateway = self._known[host].gateway
        return host in self._ports.fleet.balancer.hosts or (gateway is not None and bool(gateway.table.pools))

    async def _host(self, name: str) -> None:
        began = self._seen[name] = self._ports.clock.now()
        host = await see_host(self._ports, name, images=name not in self._images)
        if not host.reachable:
            ended = self._seen[name] = self._ports.clock.now()
            self._known[name] = host
            if ended - began >= LONG:
                self._given_up[name] = ended
            return
        self._started[name] = [(at, replica) for at, replica in self._started[name] if at >= began]
        for _, replica in self._started[name]:  # the list that the engine gave may be from before
            host = with_replica(host, replica)
        images = self._images.setdefault(name, host.images)
        if self._paths and name not in self._missing:
            # Asked again at the next look; until then the engine refuses what it cannot mount.
            with suppress(BayplanError):
                self._missing[name] = await missing_paths(self._ports, host, self._paths)
        missing, delivered = self._missing.get(name, frozenset()), frozenset(self._delivered[name])
        why = await self._why_unguarded(host)
        self._known[name] = replace(host, images=images, missing=missing, delivered=delivered, unguarded=why)

    async def _why_unguarded(self, host: HostFacts) -> str:
        """Each guard is asked once: what it last said, and where that is not that all is well, the firewall itself. The
        ports of this machine's own replicas are on its loopback.
        """
        guard = host.system("guard")
        if guard is None or not host.is_guarded or self._ports.fleet.local:
            return ""
        if guard.id not in self._unguarded:
            try:
                kept = await says_kept(self._ports, host)
                self._unguarded[guard.id] = "" if kept else await unguarded(self._ports, host)
            except BayplanError:  # asked again at the next look
                return ""
        return self._unguarded[guard.id]

    async def _gateway(self, name: str) -> None:
        if self._known[name].reachable:
            seen = await see_gateway(self._ports, self._known[name])
            self._known[name] = replace(self._known[name], gateway=seen.gateway)
