"""Shell completion of names that the files hold: quick, and silent when anything is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer


def service_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Services of the Compose file that begin so and are not named yet."""
    named = ctx.params.get("services") or ()
    return [n for n in _keys(ctx, "services", incomplete) if n not in named]


def service_counts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Services as `scale` takes them: `web=`."""
    return [f"{name}=" for name in _keys(ctx, "services", incomplete)]


def volume_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Volumes of the Compose file that begin so."""
    return _keys(ctx, "volumes", incomplete)


def host_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Hosts of fleet.yaml that begin so."""
    import os

    from bayplan.spec import load_fleet

    try:
        fleet = ctx.params.get("fleet") or os.environ.get("BAYPLAN_FLEET")
        files = [Path(f) for f in ctx.params.get("files") or ()]
        hosts = load_fleet(Path(fleet) if fleet else None, os.environ, files).hosts
    except Exception:  # noqa: BLE001  as _keys
        return []
    return [name for name in hosts if name.startswith(incomplete)]


def _keys(ctx: typer.Context, section: str, incomplete: str) -> list[str]:
    try:
        names = sorted(_written(ctx.params.get("files"), section))
    except Exception:  # noqa: BLE001  a shell that completes must not see a traceback, whatever is wrong with the file
        return []
    return [n for n in names if n.startswith(incomplete)]


def _written(files: Iterable[str | Path] | None, section: str) -> set[str]:
    import os

    from bayplan.spec.document import documents_of
    from bayplan.spec.find import compose_files
    from bayplan.spec.mistakes import Mistakes

    found: set[str] = set()
    for path in compose_files([Path(f) for f in files or ()], os.environ):
        for document in documents_of(path.read_text(encoding="utf-8"), str(path), Mistakes()):
            under = document.value.get(section) if isinstance(document.value, dict) else None
            if under is not None and isinstance(under.value, dict):
                found |= set(under.value)
    return found
