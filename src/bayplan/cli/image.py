"""`bayplan image`"""

from __future__ import annotations

import typer

from bayplan.cli.options import (
    Build,
    Files,
    FleetFile,
    Json,
    Profiles,
    Project,
    Pull,
    Services,
    Wait,
    WaitTimeout,
    patience,
)

app = typer.Typer(no_args_is_help=True, help="The images of the fleet.")

DIGEST = 12  # digits of it that are shown, as docker does


@app.command("ls")
def ls(fleet: FleetFile = None, json: Json = False) -> None:
    """List the registry's images, and which hosts have each."""
    from bayplan.cli.console import err, out, show_json, table
    from bayplan.cli.session import on_fleet, read_fleet
    from bayplan.operate.kept_images import list_images

    found = on_fleet(read_fleet(fleet), lambda ports: list_images(ports.registry, ports.engines))
    if json:
        show_json(found)
        return
    from rich.markup import escape

    from bayplan.units import show_bytes

    rows = table("repository", "tag", "digest", "size", "hosts", right={"size"})
    for image in found.images:
        size = show_bytes(image.size) if image.size is not None else "-"
        hosts = " ".join(image.hosts) or "[dim]none[/]"
        rows.add_row(image.repository, image.tag, image.digest.rpartition(":")[2][:DIGEST], size, hosts)
    out().print(rows if found.images else "[dim]no images yet: bayplan image push, or bayplan up[/]")
    for host, why in found.unknown.items():
        err().print(f"[yellow]![/] {host}: {escape(why)}")


@app.command("push")
def push(
    services: Services = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    build: Build = False,
    pull: Pull = False,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Build and push the app's images, and start nothing: the next `up` finds them there."""
    from bayplan.cli.console import out, show_json
    from bayplan.cli.progress import Progress
    from bayplan.cli.session import on_fleet, read_both, read_secrets
    from bayplan.operate.publish import publish

    wanted, where = read_both(files, project, fleet, profile, services)
    secrets = read_secrets(wanted, files)
    chosen = frozenset(services) if services else None
    with Progress(wanted.name, quiet=json) as progress:
        pins = on_fleet(
            where,
            lambda ports: publish(
                ports,
                wanted,
                chosen,
                progress,
                force_build=build,
                pull=pull,
                secrets=secrets,
                patience=patience(wait, wait_timeout),
            ),
        )
    if json:
        show_json({"images": [{"service": name, "image": pin} for name, pin in pins.items()]})
        return
    for name, pin in pins.items():
        out().print(f"[bold]{name}[/]  {pin}")
