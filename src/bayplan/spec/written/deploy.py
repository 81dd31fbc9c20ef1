"""`deploy:` of a service."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from bayplan.spec.shapes import Cores, FileModel, Integer, List, Maybe, Memory, Natural, Pairs, Seconds, Text, wrong
from bayplan.spec.written.fields import key, required
from bayplan.spec.written.runtime import DeviceRequestFile

_CONSTRAINT = re.compile(r"node\.(hostname|zone|platform\.os|platform\.arch|labels\.[\w./-]+)\s*(==|!=)\s*(\S.*)")
_OF_SWARMS = re.compile(r"(node\.id|engine\.labels\.\S+)\s*(==|!=)")
_ROLE = re.compile(r"node\.role\s*(==|!=)\s*\w+")


class LimitsFile(FileModel):
    """`deploy.resources.limits`."""

    cpus: Maybe[Cores] = key("what the engine enforces")
    memory: Maybe[Memory] = key("what the engine enforces")
    pids: Maybe[Integer] = key()


class ReservationsFile(FileModel):
    """`deploy.resources.reservations`."""

    cpus: Maybe[Cores] = key("what packing counts")
    memory: Maybe[Memory] = key("what packing counts")
    devices: Maybe[List[DeviceRequestFile]] = key("the engine finds them; say with constraints which hosts have them")


class ResourcesFile(FileModel):
    """`deploy.resources`."""

    limits: Maybe[LimitsFile] = key()
    reservations: Maybe[ReservationsFile] = key()


def is_role(constraint: str) -> bool:
    """Whether it is one of a swarm's roles, which hosts of a fleet do not have: each can what a manager can."""
    return bool(_ROLE.fullmatch(constraint.strip()))


def _constraint(value: str) -> str:
    if _OF_SWARMS.match(value.strip()):
        raise wrong(
            f"{value!r}: hosts of a fleet have neither a swarm's ids nor labels of their engines",
            "name a host with node.hostname, or give it a label in fleet.yaml: node.labels.NAME",
        )
    if not is_role(value) and not _CONSTRAINT.fullmatch(value.strip()):
        raise wrong(
            f"{value!r} is not a constraint",
            "write node.hostname, node.zone, node.labels.NAME, node.platform.os or node.platform.arch, "
            "then == or !=, then a value",
        )
    return value.strip()


def _spread(value: str) -> str:
    """A swarm tells its nodes apart by their ids: `node.id` is each host."""
    if not re.fullmatch(r"node\.(id|hostname|zone|labels\.[\w./-]+)", value):
        raise wrong(f"{value!r} cannot be spread over", "write node.hostname, node.zone or node.labels.NAME")
    return "node.hostname" if value == "node.id" else value


class PreferenceFile(FileModel):
    """An entry of `deploy.placement.preferences`."""

    spread: Annotated[Text, AfterValidator(_spread)] = required(
        "`node.hostname` (or `node.id`), `node.zone`, `node.labels.NAME`"
    )


class PlacementFile(FileModel):
    """`deploy.placement`."""

    constraints: Maybe[List[Annotated[Text, AfterValidator(_constraint)]]] = key(
        "`node.hostname`, `node.zone`, `node.labels.NAME`, `node.platform.os`, `node.platform.arch`; `==` or `!=`."
        " `node.role` is a swarm's: any host will do, and a warning says so"
    )
    preferences: Maybe[List[PreferenceFile]] = key()
    max_replicas_per_node: Maybe[Natural] = key()


def _ratio(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise wrong(f"must be from 0 to 1, not {value}")
    return number


class UpdateFile(FileModel):
    """`deploy.update_config` and `deploy.rollback_config`."""

    parallelism: Maybe[Natural] = key("0 or left out: a quarter of the replicas")
    order: Maybe[Literal["start-first", "stop-first"]] = key("`start-first` unless written")
    delay: Maybe[Seconds] = key("from when a new replica serves until another one is replaced")
    failure_action: Maybe[Literal["pause", "continue", "rollback"]] = key(
        "`pause`: what serves stays, and the rest is not replaced; `continue`: the rest is; `rollback`: the service "
        "goes back to what it was in the release before, as a new release"
    )
    monitor: Maybe[Seconds] = key("for so long after it was ready a replica may yet fail; 0s")
    max_failure_ratio: Maybe[Annotated[float, AfterValidator(_ratio)]] = key(
        "this share of the replicas may fail before `failure_action` is taken; 0"
    )


class RestartPolicyFile(FileModel):
    """`deploy.restart_policy`: it outranks `restart`."""

    condition: Maybe[Literal["none", "on-failure", "any", "no", "always", "unless-stopped"]] = key(
        'as restart: "no", on-failure, always; docker compose takes those words too'
    )
    max_attempts: Maybe[Natural] = key("with `on-failure`")
    delay: Maybe[Seconds] = key("engines have a rule of their own, 0.1 s doubling to a minute; changes nothing")
    window: Maybe[Seconds] = key("engines have a rule of their own, 10 s; changes nothing")


def _vip(value: str) -> str:
    if value != "vip":
        raise wrong(f"{value!r} cannot be had", "remove it: a service's name leads to one address, which is balanced")
    return value


class DeployFile(FileModel):
    """`deploy:`."""

    mode: Maybe[Literal["replicated", "global", "replicated-job", "global-job"]] = key(
        "a job runs once for each definition, `replicas` times; one whose end others wait for "
        "(`service_completed_successfully`) is a replicated-job unless written. "
        "`global`, `global-job`: one on each host that the constraints allow; of a new host, at the next `up`"
    )
    replicas: Maybe[Natural] = key()
    resources: Maybe[ResourcesFile] = key()
    placement: Maybe[PlacementFile] = key()
    update_config: Maybe[UpdateFile] = key()
    rollback_config: Maybe[UpdateFile] = key("as update_config unless written")
    restart_policy: Maybe[RestartPolicyFile] = key()
    labels: Maybe[Pairs] = key("the release has them; replicas do not")
    endpoint_mode: Maybe[Annotated[Text, AfterValidator(_vip)]] = key("`vip`: each service has an address")
