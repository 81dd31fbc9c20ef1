"""The labels that a container of ours carries: facts live where they are true. They never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bayplan.facts import DEFAULT_DRAIN, Binding, ContainerState, Health, Replica

FLEET: Final = "bayplan.fleet"
ROLE: Final = "bayplan.role"  # replica, run, volume, gateway, guard, registry or lock
APP: Final = "bayplan.app"
SERVICE: Final = "bayplan.service"
SLOT: Final = "bayplan.slot"
RELEASE: Final = "bayplan.release"
SPEC: Final = "bayplan.spec"  # digest of the definition
PORTS: Final = "bayplan.ports"  # "80=10.77.0.11:20080/tcp,…": a stopped container's bindings are in no list
POOL: Final = "bayplan.pool"  # on a network: which of its engine's address pools its own addresses are a part of
VOLUME: Final = "bayplan.volume"  # on a volume: its key in the Compose file
VOLUMES: Final = "bayplan.volumes"  # "shop_data,…": those of its host that it mounts
JOB: Final = "bayplan.job"  # "yes" on what runs to its end; a service's replicas do not have it
EVERYWHERE: Final = "bayplan.everywhere"  # "yes" on what each host has one of
POST_START: Final = "bayplan.post_start"  # JSON: its hooks, if it has any
PRE_STOP: Final = "bayplan.pre_stop"
DRAIN: Final = "bayplan.drain"  # seconds that what it is asked gets to end
RESERVED: Final = "bayplan.reserved"  # "0.5,536870912": cores, bytes

# Of the container that is the lock: who holds it, doing what, since when (Unix time).
LOCK_BY: Final = "bayplan.lock.by"
LOCK_DOING: Final = "bayplan.lock.doing"
LOCK_AT: Final = "bayplan.lock.at"

COMPOSE_PROJECT: Final = "com.docker.compose.project"  # Compose's own, on what it made


def replica(
    told: Mapping[str, str],
    *,
    container: str,
    name: str,
    host: str,
    state: ContainerState,
    image: str,
    ports: tuple[Binding, ...],
    health: Health = "none",
    exit_code: int | None = None,
    made: float = 0.0,
    young: bool = False,
) -> Replica:
    """What labels tell of a replica, and, of what may change, what is seen or expected. container: its id.

    Raises KeyError and ValueError for labels that are not as we write them.
    """
    cpus, memory = told.get(RESERVED, "0,0").split(",")
    return Replica(
        id=container,
        name=name,
        host=host,
        app=told[APP],
        service=told[SERVICE],
        slot=int(told[SLOT]),
        release=int(told[RELEASE]),
        spec=told[SPEC],
        state=state,
        health=health,
        exit_code=exit_code,
        image=image,
        ports=ports,
        cpus=float(cpus),
        memory=int(memory),
        job=JOB in told,
        everywhere=EVERYWHERE in told,
        volumes=tuple(name for name in told.get(VOLUMES, "").split(",") if name),
        drain=float(told.get(DRAIN, DEFAULT_DRAIN)),
        made=made,
        young=young,
    )
