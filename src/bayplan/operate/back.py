"""Going back by itself: `update_config.failure_action: rollback`, and how (`rollback_config`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from bayplan.facts import Facts
from bayplan.operate.release import Chosen, around, chosen_of, if_readable
from bayplan.plan.replica import definition
from bayplan.plan.standing import endpoints
from bayplan.plan.steps import Failure
from bayplan.ports import Releases
from bayplan.spec.listeners import same_listener
from bayplan.spec.model import App, Service


async def last_that_serves(
    releases: Releases, before: Chosen, now: Chosen, failures: Iterable[Failure], facts: Facts
) -> Chosen:
    """The newest before `now` by which those that failed serve: `before` may have failed as well, and been left so (it
    was interrupted, or paused). `before` itself where nothing of them serves, or no release that can be read has it.
    """
    serving = {f.service: _definitions(f.service, now, facts) for f in failures}
    served = {name: definitions for name, definitions in serving.items() if definitions}
    if _is_what_serves(before.app, served):
        return before
    for number in reversed(await releases.numbers(now.app.name)):
        found = await if_readable(releases, now.app.name, number) if number < before.number else None
        if found and _is_what_serves((older := chosen_of(found)).app, served):
            return older
    return before


def _definitions(service: str, now: Chosen, facts: Facts) -> frozenset[str]:
    """Of what it was, as replicas that serve have them."""
    older = (r for r in facts.replicas(now.app.name) if r.service == service and r.release < now.number and r.alive)
    leads = {r: [e.facts.takes_traffic for e in endpoints(r, facts)] for r in older}
    return frozenset(r.spec for r, takes in leads.items() if (any(takes) if takes else not r.young))


def _is_what_serves(app: App, served: Mapping[str, Collection[str]]) -> bool:
    return all(n in app.services and definition(app.services[n], app) in specs for n, specs in served.items())


def to_go_back(before: Chosen | None, now: Chosen, failures: Iterable[Failure]) -> tuple[str, ...]:
    """Services that failed, want that, are another thing than the release before had, and were in it; and those that
    cannot be what they are now once these are what they were: of them, one that the release before had not goes.
    """
    if before is None or not now.is_new:
        return ()
    failed = dict.fromkeys(f.service for f in failures if not f.tolerated)
    first = [n for n in failed if _wants(n, now.app, before.app)]
    return _in_the_same_boat(first, before.app, now.app)


def _wants(name: str, now: App, before: App) -> bool:
    new, old = now.services.get(name), before.services.get(name)
    if new is None or old is None or new.update.failure_action != "rollback":
        return False
    return new != old or definition(new, now) != definition(old, before)


def _in_the_same_boat(services: Iterable[str], before: App, now: App) -> tuple[str, ...]:
    """With all that mount a secret or config which goes back with these: nobody has had the one without the other; and
    with all from whom a listener moved to them, or to whom one of theirs did: two cannot have it, and one is to.
    """
    found = list(services)
    for name in found:  # grows meanwhile
        for other in dict.fromkeys((*now.services, *before.services)):
            if other not in found and (_mounts_with(name, other, before, now) or _has_moved(name, other, before, now)):
                found.append(other)
    return tuple(found)


def _mounts_with(name: str, other: str, before: App, now: App) -> bool:
    """Whether the other one mounts a file of it that is to be another."""
    if name not in before.services or other not in before.services or other not in now.services:
        return False
    back = _files(before.services[name])
    changed = {(kind, key) for kind, key in back if getattr(before, kind).get(key) != getattr(now, kind).get(key)}
    return bool(changed & set(_files(now.services[other])))


def _has_moved(name: str, other: str, before: App, now: App) -> bool:
    """Whether a listener of the one was the other's."""
    pairs = ((name, other), (other, name))
    both = ((before.services.get(one), now.services.get(two)) for one, two in pairs)
    return any(one and two and same_listener(one, two) for one, two in both)


def _files(service: Service) -> Iterator[tuple[str, str]]:
    yield from (("secrets", grant.source) for grant in service.secrets)
    yield from (("configs", grant.source) for grant in service.configs)


def undone(before: App, now: App, services: Collection[str]) -> App:
    """The app with these services, and the secrets and configs that they mount, as they were before, if they were."""
    old = {name: before.services[name] for name in services if name in before.services}
    stay = {name: service for name, service in now.services.items() if name not in services or name in old}
    named = around(before, now)
    for kind, key in (file for service in old.values() for file in _files(service)):
        named[kind][key] = getattr(before, kind)[key]
    return now.model_copy(update={**named, "services": {**stay, **old}})


def by_rollback_config(app: App) -> App:
    """The app with what `rollback_config` says in the place of `update_config`, where it is written."""
    services = {n: s.model_copy(update={"update": s.rollback or s.update}) for n, s in app.services.items()}
    return app.model_copy(update={"services": services})
