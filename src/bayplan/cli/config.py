"""`bayplan config`"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bayplan.cli.options import Files, FleetFile, Json, Profiles, Project


class SchemaOf(StrEnum):
    """Which file a JSON Schema is of."""

    compose = "compose"
    fleet = "fleet"


def config(
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    services: Annotated[bool, typer.Option("--services", help="Only the services' names, one a line.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Only the images' names, one a line.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only check; print nothing.")] = False,
    schema: Annotated[
        SchemaOf | None, typer.Option("--schema", help="Instead: the JSON Schema of that file, for editors.")
    ] = None,
    json: Json = False,
) -> None:
    """Check both files; print the Compose file as it resolves: merged, variables filled in, defaults written out."""
    import os

    from bayplan.cli.console import show_json, tell_warning
    from bayplan.spec import load_both
    from bayplan.spec.image_name import built

    if schema is not None:
        from bayplan.spec.schema import json_schema

        show_json(json_schema(schema.value))
        return
    app, _ = load_both(
        files,
        project=project,
        fleet=fleet,
        environment=os.environ,
        profiles=profile or (),
        only_read=True,
        warn=tell_warning,
    )
    if quiet:
        return
    if services or images:
        listed = app.services if services else [s.image or built(app.name, s.name) for s in app.services.values()]
        typer.echo("\n".join(dict.fromkeys(listed)))
    elif json:
        from bayplan.spec.render import resolved

        show_json(resolved(app))
    else:
        from bayplan.spec.render import render

        typer.echo(render(app), nl=False)
