"""Facts as they will be once the steps in flight are done: what keeps two passes from planning the same thing twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bayplan import labels
from bayplan.facts import ContainerState, Facts, GatewayFacts, Health, HostFacts, Replica, SystemContainer
from bayplan.plan.steps import Configure, Deliver, Network, Pull, Remove, Run, Start, Step, Stop, System


def overlay(facts: Facts, in_flight: Iterable[Step]) -> Facts:
    """`facts`, with replicas being made or started as `creating` and those being stopped as `removing`."""
    hosts: dict[str, HostFacts] = dict(facts.hosts)
    for step in in_flight:
        host = hosts.get(step.host)
        if host is None or not host.reachable:
            continue
        match step:
            case Run():
                hosts[step.host] = with_replica(host, _creating(step))
            case Start():
                hosts[step.host] = _in_state(host, step.replica, "creating")
            case Remove() | Stop():
                hosts[step.host] = _in_state(host, step.replica, "removing")
            case _:
                pass
    return replace(facts, hosts=hosts)


def granted(facts: Facts, steps: Iterable[Configure | Deliver | Network | Pull | System]) -> Facts:
    """`facts`, with those networks, images, files and containers of bayplan's there, and gateways so configured."""
    hosts: dict[str, HostFacts] = dict(facts.hosts)
    for step in steps:
        host = hosts[step.host]
        match step:
            case Pull():
                hosts[step.host] = replace(host, images=host.images | {step.image})
            case Deliver():
                hosts[step.host] = replace(host, delivered=host.delivered | {item.path for item in step.items})
            case Network():
                networks = host.engine.networks | {step.name}
                hosts[step.host] = replace(host, engine=replace(host.engine, networks=networks))
            case System():
                others = tuple(c for c in host.engine.system if c.role != step.role)
                told = step.container.labels[labels.SPEC]
                system = (*others, SystemContainer("", step.role, told, "running", step.container.ports))
                gateway = (host.gateway or GatewayFacts()) if step.role == "gateway" else host.gateway
                hosts[step.host] = replace(host, engine=replace(host.engine, system=system), gateway=gateway)
            case Configure():
                gateway = host.gateway or GatewayFacts()
                pools = {pool.name: gateway.pools.get(pool.name, ()) for pool in step.table.pools}
                hosts[step.host] = replace(host, gateway=replace(gateway, table=step.table, pools=pools))
    return replace(facts, hosts=hosts)


def with_replica(host: HostFacts, replica: Replica) -> HostFacts:
    """`host` with that replica there, in the place of one of its name."""
    others = tuple(r for r in host.engine.replicas if r.name != replica.name)
    return replace(host, engine=replace(host.engine, replicas=(*others, replica)))


def started(step: Run, container: str) -> Replica:
    """What a Run that has ended well left behind. container: its id."""
    state: Health = "none" if step.container.healthcheck is None else "starting"
    return replace(_creating(step), id=container, state="running", health=state)


def _in_state(host: HostFacts, name: str, state: ContainerState) -> HostFacts:
    replicas = tuple(replace(r, state=state) if r.name == name else r for r in host.engine.replicas)
    return replace(host, engine=replace(host.engine, replicas=replicas))


def _creating(step: Run) -> Replica:
    made = step.container
    return labels.replica(
        made.labels,
        container="",
        name=made.name,
        host=step.host,
        state="creating",
        image=made.image,
        ports=made.ports,
    )
