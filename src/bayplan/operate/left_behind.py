"""What stays behind where fleet.yaml names other hosts than before: on one that is in it no more, or in a registry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bayplan.errors import UsageError
from bayplan.facts import Facts, SystemContainer
from bayplan.plan.own_registry import apps_of, registry_left
from bayplan.plan.replica import slot_and_host
from bayplan.spec.model import Fleet

_CLEAN = 'docs/lost-hosts.md, "A host that leaves"'
_KEEP = 'docs/lost-hosts.md, "The registry"'


def notes_on(fleet: Fleet, facts: Facts) -> Iterator[str]:
    """A sentence each, for who is about to bring the fleet there."""
    if old := registry_moves(fleet, facts):
        new = fleet.registry.host if fleet.registry else ""
        yield (
            f"the registry moves from {old} to {new}, without what it holds: images are made again, and history begins "
            f"anew. That stays in its volume on {old}, and is there again with registry: {{host: {old}}}; to take it "
            f"along: {_KEEP}"
        )
    if left := registry_left(fleet, facts):
        yield _told_left(fleet, facts, *left)
    for host, replicas in _former(fleet, facts).items():
        yield (
            f"{host} is in fleet.yaml no more: nothing leads to {', '.join(replicas)} there from now on, and what runs "
            f"on it is left running; to clean it: {_CLEAN}"
        )


def history_lost(fleet: Fleet, app: str, facts: Facts) -> Iterator[str]:
    """A sentence for who brings up an app of which replicas stand and no release is recorded. A registry that moves, or
    that has moved, is told of otherwise.
    """
    standing = max((r.release for r in facts.replicas(app)), default=0)
    if standing and not registry_moves(fleet, facts) and not registry_left(fleet, facts):
        yield (
            f"release {standing} of {app} stands, and none is recorded: what the registry held is lost, or the fleet "
            "had another one. Images are made again, history begins anew, and rollback cannot go back to before"
        )


def _told_left(fleet: Fleet, facts: Facts, host: str, registry: SystemContainer) -> str:
    now, apps = fleet.registry.address if fleet.registry else "", apps_of(registry, facts)
    still = f" ({', '.join(apps)} {'does' if len(apps) == 1 else 'do'}: bayplan up of each)" if apps else ""
    return (
        f"the registry is {now} now, without what the one on {host} holds: images are made again there, and history "
        f"begins anew. That one goes once nothing runs of it{still}; what it holds stays in its volume, and is there "
        f"again with registry: {{host: {host}}}"
    )


def registry_moves(fleet: Fleet, facts: Facts) -> str:
    """The host on which the fleet's own registry still runs while it is to be on another; its images are not taken
    along. "" when it does not move.
    """
    to = facts.hosts.get(fleet.registry.host) if fleet.registry and fleet.registry.host else None
    if to is None or not to.reachable or to.system("registry"):
        return ""
    return next((h.name for h in facts.reachable() if h.system("registry")), "")


def check_registry_stays(fleet: Fleet, facts: Facts) -> None:
    """Raises UsageError for who would go on from a release that is in the registry of before alone."""
    if old := registry_moves(fleet, facts):
        new = fleet.registry.host if fleet.registry else ""
        todo = f"bayplan up makes them there first; to take along what it holds: {_KEEP}"
        told = f"the registry is to move from {old} to {new}, where neither images nor releases are"
        raise UsageError(told, todo=todo)


def _former(fleet: Fleet, facts: Facts) -> dict[str, list[str]]:
    """By host that fleet.yaml does not have, the replicas there that gateways still lead to. One at an address that it
    has is called otherwise now, and runs what it ran.
    """
    found: dict[str, list[str]] = defaultdict(list)
    addresses = {host.private_ip for host in fleet.hosts.values()}
    for server, led in sorted(facts.endpoints.items()):
        at = slot_and_host(server)
        is_renamed = any(e.facts.server.address in addresses for e in led)
        if at and at[1] not in fleet.hosts and not is_renamed:
            found[at[1]].append(server.removesuffix(f".{at[1]}"))
    return dict(found)
