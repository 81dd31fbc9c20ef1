"""Gathering the facts: every host at once, each with a deadline; one that does not answer is unknown, not empty."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from bayplan.errors import BayplanError, HostRefusedError, NoHostError
from bayplan.facts import EngineFacts, Facts, GatewayFacts, HostFacts
from bayplan.plan.guard import KEPT, question
from bayplan.plan.names import bridge_prefix, system_name
from bayplan.ports import Engine, FleetPorts, LogLine
from bayplan.spec.model import Fleet

HOST_DEADLINE = 10.0  # seconds, connecting included; longer than a lossy link's retransmissions, shorter than patience
GATEWAY_DEADLINE = 6.0
SLOW = 2.0  # seconds until a person is told what is waited for
_MISSING = 'for path; do [ -e "$path" ] || echo "$path"; done'


async def observe(ports: FleetPorts, *, images: bool = True, skip: frozenset[str] = frozenset()) -> Facts:
    """The whole fleet, hosts in fleet.yaml's order. images False: leave them out. skip: hosts not to ask again."""
    names = list(ports.fleet.hosts)
    seen = await asyncio.gather(*(see_host(ports, name, images=images) for name in names if name not in skip))
    by_name = {h.name: h for h in seen}
    return Facts({n: by_name.get(n) or HostFacts(n, reachable=False, why="did not answer before") for n in names})


async def see_host(ports: FleetPorts, name: str, *, images: bool) -> HostFacts:
    """One host, now."""
    return await _or_silence(ports, name, _whole(ports, name, images=images))


async def see_engine(ports: FleetPorts, name: str) -> HostFacts:
    """One host by its engine alone: no gateway, no images."""
    return await _or_silence(ports, name, _engine(ports, name))


async def _or_silence(ports: FleetPorts, name: str, looking: Coroutine[Any, Any, HostFacts]) -> HostFacts:
    """What is seen, or why the host did not answer, which is no error."""
    try:
        with _told_when_slow(ports, name):
            async with asyncio.timeout(HOST_DEADLINE):
                return await looking
    except TimeoutError:
        return HostFacts(name, reachable=False, why=f"no answer within {HOST_DEADLINE:g} s")
    except BayplanError as error:
        return silent(name, error)


def silent(host: str, error: BayplanError) -> HostFacts:
    """What is known of a host of which that is all that was heard."""
    refused = isinstance(error, HostRefusedError)
    return HostFacts(host, reachable=False, why=error.what, todo=error.todo, refused=refused)


async def _whole(ports: FleetPorts, name: str, *, images: bool) -> HostFacts:
    engine, there, gateway = await _all_three(
        ports.engines[name].observe(ports.fleet.name),
        _images(ports, name, wanted=images),
        _gateway(ports, name),
    )
    return HostFacts(name, reachable=True, engine=engine, gateway=_if_running(engine, gateway), images=there)


async def _engine(ports: FleetPorts, name: str) -> HostFacts:
    return HostFacts(name, reachable=True, engine=await ports.engines[name].observe(ports.fleet.name))


@contextmanager
def _told_when_slow(ports: FleetPorts, host: str) -> Iterator[None]:
    """Whoever waits for the host is told so, should it take long."""
    telling = asyncio.get_running_loop().call_later(SLOW, ports.slow, host)
    try:
        yield
    finally:
        telling.cancel()


async def _all_three(
    engine: Coroutine[Any, Any, EngineFacts],
    images: Coroutine[Any, Any, frozenset[str]],
    gateway: Coroutine[Any, Any, GatewayFacts | None],
) -> tuple[EngineFacts, frozenset[str], GatewayFacts | None]:
    """Each brought to its end, whichever fails: one left behind would tell the terminal of its own failure at exit."""
    asked = (asyncio.ensure_future(engine), asyncio.ensure_future(images), asyncio.ensure_future(gateway))
    await asyncio.gather(*asked, return_exceptions=True)
    return asked[0].result(), asked[1].result(), asked[2].result()


async def see_gateway(ports: FleetPorts, host: HostFacts) -> HostFacts:
    """The host with its gateway as it is now, the rest as it was."""
    with suppress(HostRefusedError):
        return replace(host, gateway=_if_running(host.engine, await _gateway(ports, host.name)))
    return replace(host, gateway=None)


async def missing_paths(ports: FleetPorts, host: HostFacts, paths: frozenset[str]) -> frozenset[str]:
    """Those that the host does not have, as its guard sees it. None while no guard runs: no replica starts then."""
    if not host.is_guarded:
        return frozenset()
    argv = ("chroot", "/host", "/bin/sh", "-c", _MISSING, "sh", *sorted(paths))
    told = await ports.engines[host.name].exec(system_name("guard", ports.fleet.name), argv)
    return frozenset(line for line in told.output.decode(errors="replace").split("\n") if line)


async def unguarded(ports: FleetPorts, host: HostFacts) -> str:
    """Why the host's guard, which runs, does not keep the firewall; "" if it does. Asked where the rules are, which
    takes the host some ten processes. Raises EngineError.
    """
    argv = ("chroot", "/host", "/bin/sh", "-c", question(bridge_prefix(ports.fleet.name)))
    told = await ports.engines[host.name].exec(system_name("guard", ports.fleet.name), argv)
    return told.output.decode(errors="replace").strip().rpartition("\n")[2] if told.status else ""


async def says_kept(ports: FleetPorts, host: HostFacts) -> bool:
    """Whether that the firewall is kept is the last thing that the host's guard has said."""
    said = await last_lines(ports.engines[host.name], system_name("guard", ports.fleet.name), 1)
    return [line.text for line in said] == [KEPT]


async def last_lines(engine: Engine, name: str, count: int) -> tuple[LogLine, ...]:
    """What a container said last, oldest first; () where that cannot be read back."""
    try:
        return tuple([line async for line in engine.logs(name, tail=count)])
    except BayplanError:  # where containers' logs go is the engine's to say
        return ()


async def _images(ports: FleetPorts, name: str, *, wanted: bool) -> frozenset[str]:
    return await ports.engines[name].images() if wanted else frozenset()


async def _gateway(ports: FleetPorts, name: str) -> GatewayFacts | None:
    """None when it does not answer (in less time than its host has: a slow gateway makes no host unreachable).

    Raises HostRefusedError: it never will, as over TLS on a host without perl.
    """
    try:
        async with asyncio.timeout(GATEWAY_DEADLINE):
            return await ports.gateways[name].observe()
    except HostRefusedError:
        raise
    except (BayplanError, TimeoutError):
        return None


def _if_running(engine: EngineFacts, gateway: GatewayFacts | None) -> GatewayFacts | None:
    running = any(c.role == "gateway" and c.state == "running" for c in engine.system)
    return gateway if running else None


def reasons(host: HostFacts) -> list[str]:
    """Why a host does not answer and, below, what may help."""
    return [f"{host.name}: {host.why}", *([f"  {host.todo}"] if host.todo else [])]


def verb(hosts: Iterable[HostFacts]) -> str:
    """What none of these does."""
    return "lets us in" if all(host.refused for host in hosts) else "answers"


def answered(fleet: Fleet, facts: Facts) -> Facts:
    """The facts. Raises NoHostError when no host answered."""
    if not any(facts.reachable()):
        raise _nobody_answers(fleet, facts)
    return facts


def _nobody_answers(fleet: Fleet, facts: Facts) -> NoHostError:
    told = "\n  ".join(reason for h in facts.hosts.values() for reason in reasons(h))
    if fleet.local:
        return NoHostError(
            "there is no fleet.yaml, and this machine's own engine cannot be used",
            todo=f"{told}\n  or name a fleet with --fleet or BAYPLAN_FLEET, or write one with bayplan init",
        )
    return NoHostError(
        f"no host of the fleet {verb(facts.hosts.values())}", todo=f"{told}\n  bayplan doctor looks closer"
    )
