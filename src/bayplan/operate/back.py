"""Going back by itself: `update_config.failure_action: rollback`, and how (`rollback_config`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bayplan.operate.release import Chosen
from bayplan.plan.steps import Failure
from bayplan.spec.model import App, Service

_AROUND = ("networks", "volumes", "secrets", "configs")


def to_go_back(before: Chosen | None, now: Chosen, failures: Iterable[Failure]) -> tuple[str, ...]:
    """Services that failed, want that, are another thing than the release before had, and were in it."""
    if before is None or not now.is_new:
        return ()
    failed = dict.fromkeys(f.service for f in failures if not f.tolerated)
    return tuple(name for name in failed if _wants(now.app.services.get(name), before.app.services.get(name)))


def _wants(new: Service | None, old: Service | None) -> bool:
    return bool(new and old and new != old and new.update.failure_action == "rollback")


def undone(before: App, now: App, services: Collection[str]) -> App:
    """The app with these services as they were before. What they name is there as it is now, if it is."""
    old = {name: before.services[name] for name in services}
    around = {key: {**getattr(before, key), **getattr(now, key)} for key in _AROUND}
    return now.model_copy(update={**around, "services": {**now.services, **old}})


def by_rollback_config(app: App) -> App:
    """The app with what `rollback_config` says in the place of `update_config`, where it is written."""
    services = {n: s.model_copy(update={"update": s.rollback or s.update}) for n, s in app.services.items()}
    return app.model_copy(update={"services": services})
