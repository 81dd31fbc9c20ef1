"""Going back to a release: what it recorded is released again, as a new number."""

from __future__ import annotations

from bayplan.converge.sight import Sight
from bayplan.errors import ImageError, UsageError
from bayplan.facts import Facts
from bayplan.images import gone
from bayplan.operate import doors, lost, strangers
from bayplan.operate.ask import check_hosts
from bayplan.operate.bring import Result, Wishes, changing, converge, tell
from bayplan.operate.events import Note, OnEvent
from bayplan.operate.history import release
from bayplan.operate.left_behind import check_registry_stays
from bayplan.operate.release import Chosen, current, if_readable, last_readable, record, spec_of
from bayplan.operate.restart_policy import wake
from bayplan.operate.secrets import versioned
from bayplan.plan.addresses import addressed_among
from bayplan.ports import FleetPorts, Release
from bayplan.spec.model import App


async def rollback(ports: FleetPorts, app: str, number: int | None, wishes: Wishes, on: OnEvent) -> Result:
    """The app as that release recorded it: images, counts and all, whatever its file and its tags say by now.

    number None: the newest that says something else than what is to run. Raises UsageError; ImageError for an image
    that is gone, before anything is changed.
    """
    check_hosts(ports.fleet, wishes.assume_down)

    async def work(sight: Sight) -> Result:
        facts = sight.seen
        check_registry_stays(ports.fleet, facts)
        if number is None:
            now = await current(ports.releases, app)
            to = await _before(ports, app, now)
        else:
            now = await last_readable(ports.releases, app, lambda text: on(Note(text)))
            to = await release(ports.releases, app, number)
        wanted = await _wanted(ports, spec_of(to), now, facts, wishes)
        _check_differs(to, wanted, now)
        await _check_images(ports, to, wanted, facts)
        lost.check(wanted, now.app if now else None, facts)
        strangers.check(wanted, facts)
        await doors.check(doors.Listened(ports), wanted, facts)
        why = f"rollback to {to.number}"
        kept = now.stopped & wanted.services.keys() if now else frozenset[str]()  # only `start` and `up` bring it back
        tell(on, lost.notes(wanted, wanted, facts, wanted.services.keys() - kept))
        await wake(ports, now, kept, facts)
        chosen = await record(ports, wanted, why, facts, latest=now, source=to.source, stopped=kept)
        return await converge(ports, chosen, wishes, on, sight, back=why)

    return await changing(ports, f"rollback {app} {number or ''}".rstrip(), work, wishes, on)


async def _before(ports: FleetPorts, app: str, now: Chosen | None) -> Release:
    """The newest before it that can be run and says something else."""
    for number in reversed(await ports.releases.numbers(app)):
        found = await if_readable(ports.releases, app, number) if now and number < now.number else None
        if found and now and (old := spec_of(found)).services and old != now.app:
            return found
    raise UsageError(f"{app} has no release to go back to", todo="see which there are: bayplan history")


async def _wanted(ports: FleetPorts, old: App, now: Chosen | None, facts: Facts, wishes: Wishes) -> App:
    """Services keep the addresses that callers know by now, and secrets the values that they have: none is recorded."""
    latest = now.app if now and now.app.services else old
    known = old.model_copy(update={"secrets": {**old.secrets, **latest.secrets}})
    old = await versioned(old, known, wishes.secrets)
    return addressed_among(ports.fleet.name, old, latest, facts)


def _check_differs(to: Release, wanted: App, now: Chosen | None) -> None:
    """What differs by the value of a secret alone cannot be gone back to."""
    old = spec_of(to).secrets
    other = sorted(key for key, secret in wanted.secrets.items() if key in old and old[key].version != secret.version)
    if now and other and wanted == now.app:
        raise UsageError(
            f"release {to.number} differs from what runs by the value of {', '.join(other)} alone, "
            "and values of secrets are in no release",
            todo="put the value back where the file finds it: bayplan up. To an older release: bayplan rollback N",
        )


async def _check_images(ports: FleetPorts, to: Release, wanted: App, facts: Facts) -> None:
    here = (image for host in facts.reachable() for image in host.images)
    if lost := await gone(wanted, ports.registry, here):
        commit = f" ({to.source.commit[:12]})" if to.source.commit else ""
        told = "\n  ".join(f"{name}: {image}" for name, image in lost.items())
        raise ImageError(
            f"release {to.number} cannot run again: {len(lost)} of its images {'is' if len(lost) == 1 else 'are'} gone "
            "from the registry and from every host that answers; nothing of the app was changed",
            todo=f"{told}\n  check out the commit that it was of{commit} and build it: bayplan up",
        )
