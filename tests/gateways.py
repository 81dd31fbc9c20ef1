"""A gateway and its guard on one host of a lab, and servers at this machine's end of the lab's private network."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import IPv4Network
from typing import Any

from bayplan.engines.docker import DockerEngine
from bayplan.errors import GatewayError
from bayplan.facts import Facts, HostFacts
from bayplan.gateways.haproxy import HaproxyGateway
from bayplan.hosts import reach_for
from bayplan.lab import Lab
from bayplan.plan.steps import Pull, System
from bayplan.plan.system import plan_system
from bayplan.ports import Gateway
from bayplan.spec.model import Balancer, Fleet, Host, Registry, Ssh

FEW = 20.0  # seconds for a condition to come true


async def eventually(condition: Callable[[], Awaitable[bool | None]]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + FEW
    while not await condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


def fleet_on(lab: Lab, name: str, hosts: int = 1, registry: Registry | None = None) -> Fleet:
    """A fleet of the lab's first hosts; h1 is the balancer."""
    members = lab.hosts[:hosts]
    return Fleet(
        name=name,
        private_net=IPv4Network(lab.private_net),
        hosts={
            m.name: Host(name=m.name, address=f"ssh://deploy@{m.private_ip}", private_ip=m.private_ip) for m in members
        },
        balancer=Balancer(hosts=("h1",), address=members[0].private_ip),
        gateway_image="haproxy:3.0",
        registry=registry,
        ssh=Ssh(config_file=str(lab.ssh_config)),
    )


async def start_system(fleet: Fleet) -> None:
    """Pull and start what bayplan itself needs on each host, as the plan says, and wait for the gateways."""
    reaches = {name: reach_for(host, fleet.ssh) for name, host in fleet.hosts.items()}
    engines = {name: DockerEngine(reach) for name, reach in reaches.items()}
    try:
        while steps := plan_system(fleet, await facts_of(engines, fleet)):
            for step in steps:
                if isinstance(step, Pull):
                    await engines[step.host].pull(step.image, lambda _: None)
                elif isinstance(step, System):
                    await engines[step.host].remove(step.container.name, 0)
                    await engines[step.host].run(step.container)
        for name in fleet.hosts:
            gateway = HaproxyGateway(reaches[name], engines[name], fleet.name)
            await eventually(lambda gateway=gateway: answers(gateway))  # type: ignore[misc]
    finally:
        for opened in (*engines.values(), *reaches.values()):
            await opened.close()


async def facts_of(engines: dict[str, DockerEngine], fleet: Fleet) -> Facts:
    """What the engines say; gateways are not asked."""
    hosts = {}
    for name, engine in engines.items():
        seen, images = await engine.observe(fleet.name), await engine.images()
        hosts[name] = HostFacts(name, reachable=True, engine=seen, images=images)
    return Facts(hosts)


async def answers(gateway: Gateway) -> bool:
    """Whether it can be observed."""
    try:
        await gateway.observe()
    except GatewayError:
        return False
    return True


def remove_system(lab: Lab, fleet: Fleet) -> None:
    """The containers of `start_system`; the guard last, and politely, so that its rules go."""
    for name in fleet.hosts:
        for role in ("registry", "gateway"):
            lab.on(name, ["docker", "rm", "-f", f"bayplan-{role}-{fleet.name}"])
        lab.on(name, ["docker", "stop", f"bayplan-guard-{fleet.name}"])
        lab.on(name, ["docker", "rm", f"bayplan-guard-{fleet.name}"])
        lab.on(name, ["docker", "volume", "rm", "-f", f"bayplan-registry-{fleet.name}"])


def in_a_loop_of_its_own(work: Coroutine[Any, Any, None]) -> None:
    """A fixture of an asynchronous test runs inside the test's loop, where another cannot be run: a thread has none."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001  raised below, in the test's own thread
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
