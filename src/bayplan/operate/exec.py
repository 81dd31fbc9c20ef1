"""A command in one replica of a service: which one."""

from __future__ import annotations

from bayplan.converge.observe import observe, reasons, verb
from bayplan.errors import BayplanError, NoHostError, UsageError
from bayplan.facts import Facts, Replica
from bayplan.operate.ask import check_hosts, check_services, replicas_of
from bayplan.plan.standing import endpoints
from bayplan.ports import FleetPorts


async def choose(
    ports: FleetPorts, app: str, service: str, *, slot: int | None = None, host: str | None = None
) -> Replica:
    """The replica that is asked for; of several, one with traffic, then a healthy one, then the lowest slot.

    Raises UsageError for a service, slot or host that is not there, NoHostError.
    """
    return (await choose_all(ports, app, service, slot=slot, host=host))[0]


async def choose_all(
    ports: FleetPorts, app: str, service: str, *, slot: int | None = None, host: str | None = None
) -> list[Replica]:
    """All that run, the one that `choose` takes first. Raises as that does."""
    check_hosts(ports.fleet, [host] if host is not None else [])
    others = frozenset(ports.fleet.hosts) - {host} if host else frozenset[str]()
    facts = await observe(ports, images=False, skip=others)
    _someone(facts, host)
    await check_services(ports, facts, app, [service])
    there = [r for r in replicas_of(facts, app, [service]) if slot in (None, r.slot) and host in (None, r.host)]
    running = [r for r in there if r.state == "running"]
    if not running:
        raise _nothing(facts, there, f"{service}-{slot}" if slot is not None else service, host)
    return sorted(running, key=lambda r: (not _has_traffic(r, facts), not r.alive, r.slot, -r.release))


def _someone(facts: Facts, host: str | None) -> None:
    if not any(facts.reachable()):
        asked = [h for h in facts.hosts.values() if host in (None, h.name)]
        raise NoHostError(f"no host {verb(asked)}", todo="\n  ".join(reason for h in asked for reason in reasons(h)))


def _has_traffic(replica: Replica, facts: Facts) -> bool:
    return any(e.facts.takes_traffic for e in endpoints(replica, facts))


def _nothing(facts: Facts, there: list[Replica], wanted: str, host: str | None) -> BayplanError:
    where = f" on {host}" if host else ""
    if there:
        told = ", ".join(f"{r.name} on {r.host} is {r.state}" for r in there)
        return BayplanError(f"no replica of {wanted} runs{where}: {told}", todo="see why: bayplan logs")
    silent = ", ".join(h.name for h in facts.hosts.values() if not h.reachable and not host)
    unknown = f" ({silent} did not answer)" if silent else ""
    return UsageError(f"there is no replica of {wanted}{where}{unknown}", todo="see which there are: bayplan ps")
