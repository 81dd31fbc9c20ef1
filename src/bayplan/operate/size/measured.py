"""What replicas really use, sampled over a window and kept, in place of what the file reserves."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bayplan.errors import UsageError
from bayplan.operate.stats import stats
from bayplan.ports import FleetPorts, Sample, UsageStore
from bayplan.spec.model import App, Resources, Service, Usage

EVERY = 5.0  # seconds between samples
HOURS = 24
HISTORY = 7 * 86_400.0  # seconds: samples of a week count
QUANTILE = 0.95  # of the samples of cores: what is above it the engine's scheduler evens out
SPARE = 1.2  # times what was used, to reserve
FAR = 2.0  # times as much reserved as used, or less than is used, is far off
_LEAST_CORES, _LEAST_BYTES = 0.01, 4 * 1024**2

Verdict = Literal["fits", "too much", "too little", "nothing reserved"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One service. cpus: of a replica, all but the highest twentieth of samples; memory: at most, bytes.

    suggested_cpus, suggested_memory: what to reserve.
    """

    service: str
    samples: int
    cpus: float
    memory: int
    reserved_cpus: float
    reserved_memory: int
    suggested_cpus: float
    suggested_memory: int
    verdict: Verdict


async def sample(ports: FleetPorts, app: str, store: UsageStore, window: float, wall: Callable[[], float]) -> None:
    """Keep samples of the app's replicas for so many seconds; 0: none. wall: seconds since 1970. Raises NoHostError."""
    end = ports.clock.now() + window
    while (left := end - ports.clock.now()) > 0:
        found = await stats(ports, app, frozenset())
        now = wall()
        measured = [u for u in found.replicas if not u.why]
        await store.add([Sample(now, app, u.service, u.name, u.host, u.cpus, u.memory) for u in measured])
        await ports.clock.sleep(min(EVERY, left))


async def kept(store: UsageStore, app: App, now: float) -> Mapping[str, Sequence[Sample]]:
    """What the store has of the app's services, by service. Raises UsageError if it knows nothing of any."""
    by_service: dict[str, list[Sample]] = defaultdict(list)
    for found in await store.since(app.name, now - HISTORY):
        by_service[found.service].append(found)
    known = {name: by_service[name] for name in app.services if by_service[name]}
    if not known:
        raise UsageError(
            f"nothing was measured of {app.name}", todo="bayplan size --measured --window 60s, while it runs"
        )
    return known


def measured(samples: Mapping[str, Sequence[Sample]], app: App) -> Mapping[str, Measured]:
    """What samples say of each service."""
    return {name: _measured(app.services[name], there) for name, there in samples.items()}


def _measured(service: Service, samples: Sequence[Sample]) -> Measured:
    cpus = _most_cores(s.cpus for s in samples)
    memory = max(s.memory for s in samples)
    suggested = max(math.ceil(cpus * SPARE * 100) / 100, _LEAST_CORES)
    bytes_ = max(math.ceil(memory * SPARE / 1024**2) * 1024**2, _LEAST_BYTES)
    r = service.resources
    verdict = _verdict(r, cpus, memory, suggested, bytes_)
    return Measured(
        service.name, len(samples), cpus, memory, r.reserved_cpus, r.reserved_memory, suggested, bytes_, verdict
    )


def _verdict(reserved: Resources, cpus: float, memory: int, enough_cpus: float, enough_memory: int) -> Verdict:
    if not (reserved.reserved_cpus or reserved.reserved_memory):
        return "nothing reserved"
    if (reserved.reserved_cpus and cpus > reserved.reserved_cpus) or (
        reserved.reserved_memory and memory > reserved.reserved_memory
    ):
        return "too little"
    if reserved.reserved_cpus > FAR * enough_cpus or reserved.reserved_memory > FAR * enough_memory:
        return "too much"
    return "fits"


def over_day(samples: Mapping[str, Sequence[Sample]], app: App) -> Mapping[str, Usage]:
    """By `app/service`, what a replica used in each hour of the day (UTC).

    An hour in which nothing was sampled counts as the whole week does.
    """
    return {f"{app.name}/{name}": _hourly(there) for name, there in samples.items()}


def _hourly(samples: Sequence[Sample]) -> Usage:
    by_hour: dict[int, list[Sample]] = defaultdict(list)
    for one in samples:
        by_hour[int(one.time // 3600) % HOURS].append(one)
    each = [by_hour.get(hour) or samples for hour in range(HOURS)]
    return Usage(
        cpus=tuple(_most_cores(s.cpus for s in there) for there in each),
        memory=tuple(float(max(s.memory for s in there)) for there in each),
    )


def _most_cores(used: Iterable[float]) -> float:
    """All but the highest twentieth."""
    cores = sorted(used)
    return cores[math.ceil(QUANTILE * len(cores)) - 1]


def usage_csv(usage: Mapping[str, Usage]) -> str:
    """As fleet.yaml's `usage` names it: cores, GiB."""
    lines = [",".join(("service", "resource", *(f"v{hour}" for hour in range(HOURS))))]
    for service, known in sorted(usage.items()):
        lines.append(",".join((service, "cpu", *(f"{cores:.4g}" for cores in known.cpus))))
        lines.append(",".join((service, "memory", *(f"{used / 1024**3:.4g}" for used in known.memory))))
    return "\n".join([*lines, ""])
