"""Shell completion of names that the files hold: quick, and silent when anything is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer


def service_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Services of the Compose file that begin so and are not named yet."""
    try:
        names = sorted(_services(ctx.params.get("files")))
    except Exception:  # noqa: BLE001  a shell that completes must not see a traceback, whatever is wrong with the file
        return []
    named = ctx.params.get("services") or ()
    return [n for n in names if n.startswith(incomplete) and n not in named]


def _services(files: Iterable[str | Path] | None) -> set[str]:
    import os

    from bayplan.spec.document import read_document
    from bayplan.spec.find import compose_files
    from bayplan.spec.mistakes import Mistakes

    found: set[str] = set()
    for path in compose_files([Path(f) for f in files or ()], os.environ):
        document = read_document(path.read_text(encoding="utf-8"), str(path), Mistakes())
        services = document.value.get("services") if document and isinstance(document.value, dict) else None
        if services is not None and isinstance(services.value, dict):
            found |= set(services.value)
    return found
