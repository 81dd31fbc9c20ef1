"""Two releases side by side, or one and what the file says now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bayplan.converge.observe import answered, observe
from bayplan.operate.diff import Change, changes
from bayplan.operate.doors import Listened
from bayplan.operate.history import release
from bayplan.operate.preview import foreseen
from bayplan.operate.release import chosen_of, current, is_new_fleet, spec_of, unreleased
from bayplan.ports import FleetPorts
from bayplan.spec.model import App


@dataclass(frozen=True, slots=True)
class Comparison:
    """before 0: nothing was released; after 0: what the file says. unmade: services whose image is yet to be made."""

    before: int
    after: int
    changes: tuple[Change, ...]
    unmade: tuple[str, ...] = ()


async def releases(ports: FleetPorts, app: str, before: int, after: int) -> Comparison:
    """Raises UsageError for a number that never was, RegistryError for one that cannot be read."""
    old, new = await release(ports.releases, app, before), await release(ports.releases, app, after)
    return Comparison(before, after, changes(spec_of(old), spec_of(new)))


async def with_file(ports: FleetPorts, app: App, number: int | None, secrets: Mapping[str, bytes]) -> Comparison:
    """What `up` would release now. number None: compared with the newest. Raises UnreadableError for that."""
    facts = answered(ports.fleet, await observe(ports))
    asked = chosen_of(await release(ports.releases, app.name, number)) if number is not None else None
    if asked is None and not is_new_fleet(ports.fleet, facts):
        await current(ports.releases, app.name)
    latest, new, unmade = await foreseen(Listened(ports), app, secrets, facts, lambda _: None)
    old = asked or latest or unreleased(app.name)
    found = (c for c in changes(old.app, new) if not (_is_images(c.key) and c.where in _named(unmade)))
    return Comparison(old.number, 0, tuple(found), unmade)


def _is_images(key: str) -> bool:
    """Whether its image says it."""
    return key.partition(".")[0] in ("listens", "image_healthcheck", "image_architectures")


def _named(unmade: Iterable[str]) -> frozenset[str]:
    """Where their changes are; what such a service listens on is not known yet, and so has not changed."""
    return frozenset(f"services.{name}" for name in unmade)
