"""How much is done at once on one host, by kind of work."""

from __future__ import annotations

from asyncio import Semaphore

from bayplan.plan.steps import Pull, Remove, Run, Step, Stop

STARTS = (2, 8)  # containers that are made at once: as many as the host has cores, within these
PULLS = 3
STOPS = 16  # mostly they wait for the container


class Lanes:
    """Of one host. cpus: its cores."""

    def __init__(self, cpus: float) -> None:
        few, many = STARTS
        starts = min(many, max(few, int(cpus)))
        self._starts, self._pulls = Semaphore(starts), Semaphore(PULLS)
        self._stops, self._rest = Semaphore(STOPS), Semaphore(max(STARTS))

    def lane(self, step: Step) -> Semaphore:
        """What the step waits for, and holds while it is done."""
        match step:
            case Run():
                return self._starts
            case Pull():
                return self._pulls
            case Stop() | Remove():
                return self._stops
            case _:
                return self._rest
