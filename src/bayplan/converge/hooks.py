"""`post_start` and `pre_stop` of a replica (Compose Specification, "Services"): commands run in it by the engine.

They are in the replica's labels: what was started with them is stopped with them, whatever the release says by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from bayplan import labels
from bayplan.errors import DeadlineError, EngineError
from bayplan.ports import Engine, How
from bayplan.spec.model import Hook

DEADLINE: Final = 600.0  # seconds for one of them: the Specification has no limit, and a lock is held meanwhile
_FAILED = (EngineError, DeadlineError)


async def after_start(engine: Engine, name: str, told: Mapping[str, str]) -> None:
    """Run its `post_start`. Raises EngineError, with the replica stopped, when one of them fails or does not end."""
    for hook in _hooks(told, labels.POST_START):
        try:
            await _run(engine, name, hook)
        except _FAILED as error:
            await engine.stop(name, None)
            raise EngineError(
                f"post_start failed in {name}, which is stopped: {error.what}", where=engine.host
            ) from error


async def before_stop(engine: Engine, name: str) -> None:
    """Run its `pre_stop`, if it runs. It is stopped whatever comes of that, as Compose does."""
    with suppress(*_FAILED):
        seen = await engine.inspect(name)
        if seen["State"]["Running"]:
            for hook in _hooks(seen["Config"]["Labels"] or {}, labels.PRE_STOP):
                await _run(engine, name, hook)


async def again(engine: Engine, name: str) -> None:
    """Start one that was stopped, with its `post_start`; one that was paused goes on, and has had that."""
    seen = await engine.inspect(name)
    await engine.start(name)
    if seen["State"]["Status"] != "paused":
        await after_start(engine, name, seen["Config"]["Labels"] or {})


def _hooks(told: Mapping[str, str], label: str) -> Iterable[Hook]:
    return (Hook.model_validate(hook) for hook in json.loads(told.get(label, "[]")))


async def _run(engine: Engine, name: str, hook: Hook) -> None:
    how = How(hook.user, hook.working_dir, hook.environment, hook.privileged)
    done = await engine.exec(name, hook.command, how=how, deadline=DEADLINE)
    if done.status:
        said = done.output.decode(errors="replace").strip()[-500:]
        raise EngineError(f"{' '.join(hook.command)} ended with status {done.status}: {said}", where=engine.host)
