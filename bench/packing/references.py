"""How others place: one container at a time, on static peaks, by their published scores. Reference scorers, not theirs.

Nomad, `scheduler/rank.go` and `structs.ScoreFitBinPack`: 20 - (10^free_cpu + 10^free_memory), free after
placement. Kubernetes, `noderesources/most_allocated.go`: the mean of requested over
allocatable. Swarm, `manager/scheduler/scheduler.go`: the fewest tasks of the service, then the fewest tasks. First-fit
decreasing: by the largest share of a host, on the first host that takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bayplan.plan.packing.amount import peak
from bayplan.plan.packing.problem import Problem

Floats = NDArray[np.float64]
Score = Callable[["Fleet", Floats], Floats]


class Fleet:
    """Hosts of one type, used one after another. load: (H, R); tasks: (H,); has: service to its replicas by host."""

    def __init__(self, problem: Problem) -> None:
        largest = max(problem.types, key=lambda t: sum(t.capacity.values()))
        self.resources = tuple(largest.capacity)
        self.capacity = np.array([largest.capacity[r] for r in self.resources]) * (1 - problem.headroom)
        self.load = np.zeros((0, len(self.resources)))
        self.tasks = np.zeros(0)
        self.has: dict[str, Floats] = {load.name: np.zeros(0) for load in problem.loads}
        self.limit = {load.name: load.limit for load in problem.loads}
        self.over: dict[str, list[tuple[str, int]]] = {load.name: [] for load in problem.loads}
        self.under: dict[str, list[tuple[str, int]]] = {load.name: [] for load in problem.loads}
        for rule in problem.apart:
            self.over[rule.service].append((rule.other, rule.limit))
            self.under[rule.other].append((rule.service, rule.limit))
        self.room = 0

    def grow(self, hosts: int) -> None:
        """So many empty hosts more (rows are kept in reserve, so that growing is cheap)."""
        self.room += hosts
        if self.room > len(self.load):
            more = max(self.room, 256)
            self.load = np.concatenate([self.load, np.zeros((more, self.load.shape[1]))])
            self.tasks = np.concatenate([self.tasks, np.zeros(more)])
            self.has = {name: np.concatenate([has, np.zeros(more)]) for name, has in self.has.items()}

    def fits(self, service: str, demand: Floats) -> NDArray[np.bool_]:
        n = self.room
        fits: NDArray[np.bool_] = (self.load[:n] + demand <= self.capacity + 1e-9).all(axis=1)
        has = self.has[service][:n]
        if (limit := self.limit[service]) is not None:
            fits &= has < limit
        for other, most in self.over[service]:
            fits &= self.has[other][:n] <= most
        for other, most in self.under[service]:
            fits &= (self.has[other][:n] == 0) | (has < most)
        return fits

    def put(self, host: int, service: str, demand: Floats) -> None:
        self.load[host] += demand
        self.tasks[host] += 1
        self.has[service][host] += 1


def nomad(fleet: Fleet, demand: Floats) -> Floats:
    """ScoreFitBinPack over cpu and memory."""
    free = 1 - (fleet.load[: fleet.room, :2] + demand[:2]) / fleet.capacity[:2]
    return np.asarray(20 - np.power(10.0, free).sum(axis=1))


def most_allocated(fleet: Fleet, demand: Floats) -> Floats:
    """NodeResourcesFit with MostAllocated over cpu and memory, weights 1."""
    return np.asarray(((fleet.load[: fleet.room, :2] + demand[:2]) / fleet.capacity[:2]).mean(axis=1))


def first(fleet: Fleet, _demand: Floats) -> Floats:
    """The first that takes it."""
    return -np.arange(fleet.room, dtype=np.float64)


def one_by_one(problem: Problem, score: Score, *, decreasing: bool = False) -> int:
    """Hosts used when each replica goes to the best host in use, and to a new one if none takes it."""
    fleet = Fleet(problem)
    for service, demand in _queue(problem, fleet, decreasing=decreasing):
        able = np.flatnonzero(fleet.fits(service, demand))
        if not len(able):
            fleet.grow(1)
            host = fleet.room - 1
        else:
            host = int(able[score(fleet, demand)[able].argmax()])
        fleet.put(host, service, demand)
    return fleet.room


def spread(problem: Problem, low: int, high: int) -> int:
    """The smallest fleet (tried to a percent) on which Swarm's spread finds a place for every replica."""
    while high - low > max(high // 100, 1):
        middle = (low + high) // 2
        low, high = (low, middle) if _spreads(problem, middle) else (middle, high)
    return high


def _spreads(problem: Problem, hosts: int) -> bool:
    fleet = Fleet(problem)
    fleet.grow(hosts)
    for service, demand in _queue(problem, fleet, decreasing=False):
        able = np.flatnonzero(fleet.fits(service, demand))
        if not len(able):
            return False
        of_service = fleet.has[service][able]
        fewest = able[of_service == of_service.min()]
        fleet.put(int(fewest[fleet.tasks[fewest].argmin()]), service, demand)
    return True


def _queue(problem: Problem, fleet: Fleet, *, decreasing: bool) -> Iterator[tuple[str, Floats]]:
    """Every replica with its peaks: in the order of the file, or the largest first."""
    peaks = [np.array([peak(load.demand.get(r, 0.0)) for r in fleet.resources]) for load in problem.loads]
    order: Sequence[int] = range(len(peaks))
    if decreasing:
        share = np.divide(1.0, fleet.capacity, out=np.zeros_like(fleet.capacity), where=fleet.capacity > 0)
        order = np.argsort([-float((p * share).max()) for p in peaks], kind="stable").tolist()
    for i in order:
        load = problem.loads[i]
        for _ in range(load.replicas):
            yield load.name, peaks[i]
