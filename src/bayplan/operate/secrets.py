"""Versions of secrets: what a release and a label say in the place of a value.

A version is at random, so that nothing can be told from it. The release keeps a salted hash beside it that is slow to
compute (scrypt, RFC 7914), by which the next `up` sees whether the value is another one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from bayplan.errors import BayplanError
from bayplan.plan.grants import items
from bayplan.plan.names import grants_directory, system_name
from bayplan.ports import Engine, FleetPorts
from bayplan.spec.model import App
from bayplan.spec.storage import Secret

_COST, _BLOCK, _PARALLEL = 1 << 15, 8, 1  # 32 MB and about 0.1 s a value
_ROOM = 64 << 20
_FORGET: Final = """\
cd "$1" 2>/dev/null || exit 0
shift
for one in *; do case " $* " in *" $one "*) ;; *) rm -f "$one" ;; esac; done
[ $# -gt 0 ] || rmdir "$PWD"
"""


async def versioned(app: App, before: App | None, values: Mapping[str, bytes]) -> App:
    """`app`, each secret with the version that it had in the release before if its value is the same, else a new one.

    A secret without a value here keeps the one that it had.
    """
    if not app.secrets:
        return app
    known = before.secrets if before else {}
    work = (asyncio.to_thread(_versioned, s, known.get(key), values.get(key)) for key, s in app.secrets.items())
    return app.model_copy(update={"secrets": dict(zip(app.secrets, await asyncio.gather(*work), strict=True))})


def _versioned(secret: Secret, before: Secret | None, value: bytes | None) -> Secret:
    if before and before.version and (value is None or _is_same(before.check, value)):
        return secret.model_copy(update={"version": before.version, "check": before.check})
    salt = secrets.token_hex(16)
    return secret.model_copy(update={"version": secrets.token_hex(8), "check": f"{salt}:{_hash(value or b'', salt)}"})


def _is_same(check: str, value: bytes) -> bool:
    salt, _, told = check.partition(":")
    return hmac.compare_digest(told, _hash(value, salt))


def _hash(value: bytes, salt: str) -> str:
    return hashlib.scrypt(value, salt=salt.encode(), n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_ROOM, dklen=32).hex()


async def forget(ports: FleetPorts, app: App) -> None:
    """Take what the app's services do not use out of every host's memory.

    A host where that cannot be done keeps it until the next time, or until it is booted.
    """
    fleet = ports.fleet.name
    used = {i.path.rpartition("/")[2] for s in app.services.values() for i in items(fleet, app, s)}
    argv = ("sh", "-c", _FORGET, "sh", grants_directory(fleet, app.name), *sorted(used))
    await asyncio.gather(*(_run(engine, system_name("gateway", fleet), argv) for engine in ports.engines.values()))


async def _run(engine: Engine, name: str, argv: tuple[str, ...]) -> None:
    with suppress(BayplanError):
        await engine.exec(name, argv)
