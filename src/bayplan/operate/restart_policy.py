"""What an engine does with an app's containers when it starts: taken from those that are stopped, and given back."""

from __future__ import annotations

from collections.abc import Iterable

from bayplan.errors import NotFoundError
from bayplan.facts import Facts, Replica
from bayplan.operate.release import Chosen
from bayplan.operate.together import together
from bayplan.ports import FleetPorts


async def wake(ports: FleetPorts, before: Chosen | None, stopped: frozenset[str], facts: Facts) -> None:
    """Containers of services that are to run again get their restart policy back (`halt.stop` takes it): before it is
    recorded that they run, so that whoever is killed in between leaves none without. What is dead, or gone by now, is
    replaced anyway. Raises BayplanError, once all are asked, for one that cannot be given it.
    """
    if before is None:
        return
    awake = {name: s.restart for name, s in before.app.services.items() if name in before.stopped - stopped}
    kept = (r for r in facts.replicas(before.app.name) if r.service in awake and r.state not in ("dead", "removing"))
    failed = await together(ports.engines[r.host].set_restart(r.name, awake[r.service]) for r in kept)
    if error := next((e for e in failed if not isinstance(e, NotFoundError)), None):
        raise error


async def forget_restart(ports: FleetPorts, replicas: Iterable[Replica]) -> None:
    """An engine that starts brings back what is to restart always, whoever stopped it. A host that is silent by now is
    told of at the end.
    """
    await together(ports.engines[r.host].set_restart(r.name, "no") for r in replicas)
