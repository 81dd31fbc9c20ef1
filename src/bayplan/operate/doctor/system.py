"""What bayplan itself runs on a host: the gateway, the guard, the way to the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from bayplan.converge.observe import unguarded
from bayplan.dialled import connected
from bayplan.errors import BayplanError, restart_engine
from bayplan.facts import GatewayFacts, HostFacts, Role
from bayplan.operate import restarting
from bayplan.operate.doctor.finding import Finding, failed
from bayplan.operate.registry_door import leads_to_registry
from bayplan.plan.away import why_unreached
from bayplan.plan.guard import see_guard, unmasked
from bayplan.plan.names import bridge_prefix, system_name
from bayplan.ports import FleetPorts
from bayplan.routing import Pool

REGISTRY_DEADLINE = 10.0  # seconds
_UP = "bayplan up starts it"
_OK = range(200, 500)  # 401 is an answer too: it wants a login


async def system_findings(ports: FleetPorts, facts: HostFacts) -> tuple[Finding, ...]:
    """The host's gateway, guard and registry, a pull's way through its loopback, and what is managed elsewhere."""
    asked = await asyncio.gather(_gateway(ports, facts), _guard(ports, facts), *_registry(ports, facts))
    return (*asked, *external_findings(facts))


async def _gateway(ports: FleetPorts, facts: HostFacts) -> Finding:
    return await _wrong(ports, facts, "gateway") or gateway_finding(facts)


async def _wrong(ports: FleetPorts, facts: HostFacts, role: Role) -> Finding | None:
    return renamed(ports.fleet.name, facts, role) or await _restarting(ports, facts, role)


def renamed(fleet: str, facts: HostFacts, role: Role) -> Finding | None:
    """Of a container that somebody gave another name: it runs, and nobody reaches it."""
    container, name = facts.system(role), system_name(role, fleet)
    if container is None or container.name in ("", name):
        return None
    told = f"its container has the name {container.name} instead of {name}, by which it is spoken to"
    return Finding("fail", role, facts.name, told, "bayplan up gives it that name back")


async def _restarting(ports: FleetPorts, facts: HostFacts, role: Role) -> Finding | None:
    words = await restarting.why(ports, facts, role)
    if words is None:
        return None
    todo = restarting.todo(ports.fleet.name, facts.name, role)
    return Finding("fail", role, facts.name, restarting.told(role, words), todo)


def gateway_finding(facts: HostFacts) -> Finding:
    """Whether it runs, answers, and would come back from a restart as it is."""
    wrong = _container(facts, "gateway")
    if wrong:
        return wrong
    if facts.gateway is None:
        todo = f"see what it says: docker logs of its container on {facts.name}; bayplan up mends it"
        return Finding("fail", "gateway", facts.name, "it runs and does not answer", todo)
    if not facts.gateway.in_step:
        told = "the file that a restart reads says something else than what runs"
        return Finding("warn", "gateway", facts.name, told, "bayplan up writes it")
    return Finding("ok", "gateway", facts.name, "it runs, and its file says what runs")


def external_findings(facts: HostFacts) -> Iterator[Finding]:
    """Whether the host's gateway reaches each service that is not run here, of every app."""
    gateway = facts.gateway or GatewayFacts()
    for pool in gateway.table.pools:
        why = why_unreached(gateway.away.get(pool.name))
        what = f"{pool.service} of {pool.app}, at {pool.fixed},"
        if not pool.fixed or why == "":
            continue
        if why:
            yield Finding("fail", "external", facts.name, f"{what} is not reached: {why}", _reach_it(pool, facts.name))
        else:
            yield Finding("ok", "external", facts.name, f"{what} answers")


def _reach_it(pool: Pool, host: str) -> str:
    return f"is it up, is {pool.fixed} right (x-bayplan.external), and does it let {host} in? see what it allows"


async def _guard(ports: FleetPorts, facts: HostFacts) -> Finding:
    wrong = await _wrong(ports, facts, "guard") or _container(facts, "guard")
    if wrong:
        return wrong
    try:
        why = await unguarded(ports, facts)
    except BayplanError as error:
        return failed("guard", facts.name, error)
    if why:
        told = f"it cannot keep the firewall, so that replicas' ports may answer from outside: {why}"
        return Finding("fail", "guard", facts.name, told, see_guard(ports.fleet.name, facts.name))
    if await _is_unmasked(ports, facts):
        told = "the engine's own rules are not in the firewall: replicas reach nothing outside, or none can be started"
        return Finding("warn", "guard", facts.name, told, restart_engine(facts.name))
    return Finding("ok", "guard", facts.name, f"only {ports.fleet.private_net} reaches replicas' ports")


async def _is_unmasked(ports: FleetPorts, facts: HostFacts) -> bool:
    argv = ("chroot", "/host", "/bin/sh", "-c", unmasked(bridge_prefix(ports.fleet.name)))
    try:
        told = await ports.engines[facts.name].exec(system_name("guard", ports.fleet.name), argv)
    except BayplanError:  # it was asked a moment ago
        return False
    return bool(told.output.strip())


def _container(facts: HostFacts, role: Role) -> Finding | None:
    """What is wrong with it as a container. A host that runs nothing of the fleet yet lacks nothing."""
    container = facts.system(role)
    if container is None:
        fresh = not (facts.engine.system or facts.engine.replicas)
        return Finding("ok" if fresh else "fail", role, facts.name, "not there yet" if fresh else "it is gone", _UP)
    if container.state != "running":
        return Finding("fail", role, facts.name, f"its container is {container.state}", _UP)
    return None


def _registry(ports: FleetPorts, facts: HostFacts) -> Iterator[asyncio.Task[Finding]]:
    """The container where it is to be, and every host's loopback, once gateways are there."""
    registry = ports.fleet.registry
    if registry is None or registry.host is None:
        return
    if registry.host == facts.name:
        yield asyncio.create_task(_registry_container(ports, facts))
    if facts.gateway is not None:
        yield asyncio.create_task(_loopback(ports, facts, registry.port))


async def _registry_container(ports: FleetPorts, facts: HostFacts) -> Finding:
    wrong = await _wrong(ports, facts, "registry") or _container(facts, "registry")
    return wrong or Finding("ok", "registry", facts.name, "its container runs")


async def _loopback(ports: FleetPorts, facts: HostFacts, port: int) -> Finding:
    """A pull's first request, from the host's own loopback. What answers there where its gateway leads nowhere is
    another's.
    """
    host, where = facts.name, f"localhost:{port}"
    if not leads_to_registry(facts, port):
        return Finding(
            "fail", "pull", host, f"its gateway does not lead to the registry at {where}", "bayplan up mends it"
        )
    try:
        async with asyncio.timeout(REGISTRY_DEADLINE):
            status = await _get(await ports.reaches[host].dial(f"127.0.0.1:{port}"))
    except BayplanError as error:
        return failed("pull", host, error)
    except (OSError, TimeoutError, ValueError, IndexError) as error:
        todo = (
            "is the registry's host up, and its gateway? bayplan up mends both; "
            "and do connections to it leave here with this host's private_ip? its guard lets in no other (ip route get)"
        )
        return Finding("fail", "pull", host, f"{where} does not answer there ({error or 'in time'})", todo)
    if status not in _OK:
        return Finding("fail", "pull", host, f"{where} answers {status}: no registry behind it", "bayplan up mends it")
    return Finding("ok", "pull", host, f"the registry answers at {where}")


async def _get(way: str) -> int:
    """The status of GET /v2/ (OCI distribution specification, "end-1")."""
    reader, writer = await connected(way)
    try:
        writer.write(b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
        line = await reader.readline()
        if not line:
            raise ConnectionError("its gateway gets no connection to the registry's host")
        return int(line.split()[1])
    finally:
        writer.close()
