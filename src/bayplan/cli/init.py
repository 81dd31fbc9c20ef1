"""`bayplan init`"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from bayplan.operate.init import Seen

IMAGE = "nginx:stable-alpine"
IMAGE_PORT = 80


def init(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST",
            help="As you would ssh to them: deploy@10.0.0.11; over TLS: tcp://10.0.0.11:2376",
            show_default="asked",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The app's name.", show_default="the folder's")] = None,
    ssh_config: Annotated[
        Path | None,
        typer.Option(
            "--ssh-config", metavar="FILE", help="A file for ssh, written into fleet.yaml.", show_default="yours"
        ),
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            "--tls",
            metavar="FOLDER",
            help="Where ca.pem, cert.pem and key.pem for tcp:// hosts are.",
            show_default="$DOCKER_CERT_PATH, ~/.docker",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Ask nothing: take what is proposed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write anew what is there; the old is kept as .old.")] = False,
) -> None:
    """Begin: write a compose.yaml for what is in this folder, and a fleet.yaml for the hosts that you name."""
    from bayplan.operate.init import write, write_schemas

    here = Path.cwd()
    ask = Asking(silent=yes or not sys.stdin.isatty())
    project = _plan(here, ask, hosts, name, force=force)
    texts, seen = _texts(project, ssh_config, tls, ask)
    if not texts:
        _say_nothing_to_do(project)
        return
    kept = write(here, texts, force=force)
    write_schemas(here)
    _tell(texts, kept, seen, _example(project, texts))


@dataclass(frozen=True, slots=True)
class Asking:
    """Questions with an answer proposed. silent: it is taken."""

    silent: bool

    def text(self, question: str, proposed: str) -> str:
        if self.silent:
            return proposed
        return str(typer.prompt(question, default=proposed, err=True)).strip()

    def port(self, question: str, proposed: int) -> int:
        if self.silent:
            return proposed
        return int(typer.prompt(question, default=proposed, type=int, err=True))


@dataclass(frozen=True, slots=True)
class Project:
    """What there is and what is wanted. compose: the Compose file that is there and stays; None: one is written.

    manifest: a file that tells of a program and not of its image; "" for none.
    """

    name: str
    hosts: tuple[str, ...]
    compose: str | None
    dockerfile: str | None
    manifest: str


def _plan(here: Path, ask: Asking, hosts: Sequence[str] | None, name: str | None, *, force: bool) -> Project:
    from bayplan.errors import UsageError
    from bayplan.operate.starter import MANIFESTS, label
    from bayplan.spec.find import COMPOSE_NAMES, FLEET_NAME

    compose = next((n for n in COMPOSE_NAMES if (here / n).exists()), None)
    if hosts and (here / FLEET_NAME).exists() and not force:
        todo = "edit it, or write it anew (the old one is kept): --force"
        raise UsageError(f"{FLEET_NAME} is there already", todo=todo)
    named = tuple(hosts or ())
    if not named and not (here / FLEET_NAME).exists():
        question = "Hosts, as you would ssh to them, with spaces between (none: this machine's own Docker)"
        named = tuple(ask.text(question, "").split())
    proposed = label(name or here.name, "app")
    app = proposed if name or compose else label(ask.text("Name of the app", proposed), "app")
    dockerfile = here / "Dockerfile"
    return Project(
        name=app,
        hosts=named,
        compose=None if force else compose,
        dockerfile=dockerfile.read_text(errors="replace") if dockerfile.is_file() else None,
        manifest=next((m for m in MANIFESTS if (here / m).is_file()), ""),
    )


def _texts(
    project: Project, ssh_config: Path | None, tls: Path | None, ask: Asking
) -> tuple[dict[str, str], tuple[Seen, ...]]:
    """The files to write, by name, and what the hosts told."""
    texts: dict[str, str] = {}
    seen = _look(project, ssh_config, tls) if project.hosts else ()
    if seen:
        texts["fleet.yaml"] = _fleet(project, seen, ssh_config)
    if project.compose is None:
        texts["compose.yaml"] = _compose(project, ask)
    return texts, seen


def _look(project: Project, ssh_config: Path | None, tls: Path | None) -> tuple[Seen, ...]:
    from bayplan.cli.console import err
    from bayplan.cli.session import on_fleet
    from bayplan.operate.init import certificates, hosts_of, look, provisional, tls_of
    from bayplan.spec.model import Ssh

    usual = Path(os.environ.get("DOCKER_CERT_PATH") or "~/.docker")  # as Docker's own client has it
    hosts = hosts_of(project.hosts)
    if folder := certificates(project.hosts, tls, usual):
        hosts = hosts_of(project.hosts, tls_of(folder))
    fleet = provisional(project.name, hosts, Ssh(config_file=str(ssh_config.resolve()) if ssh_config else None))
    with err().status(f"looking at {len(hosts)} hosts"):
        return on_fleet(fleet, look)


def _fleet(project: Project, seen: Sequence[Seen], ssh_config: Path | None) -> str:
    from bayplan.operate.init import entries, registry_port
    from bayplan.operate.starter import fleet_text

    lines, net = entries(seen)
    first = seen[0].host
    dialled = first.private_ip or lines[0].private_ip  # the address that was typed may be the public one
    ssh = str(ssh_config) if ssh_config else ""
    return fleet_text(project.name, net, lines, dialled, ssh, registry_port(seen))


def _compose(project: Project, ask: Asking) -> str:
    from bayplan.operate.starter import compose_text, exposed_port, public_port

    image, target = "", exposed_port(project.dockerfile) if project.dockerfile else None
    if project.dockerfile is None:
        image = ask.text("Image that it runs (there is no Dockerfile here)", IMAGE)
        target = ask.port("Port that the image listens on", IMAGE_PORT)
    elif target is None and not ask.silent:
        answer = ask.text("Port that your program listens on (none: no client reaches it)", "")
        target = int(answer) if answer.isdecimal() else None
    published = ask.port("Port that clients dial", public_port(target)) if target else None
    replicas = min(3, len(project.hosts)) if len(project.hosts) > 1 else 2
    return compose_text(project.name, image=image, target=target, published=published, replicas=replicas)


def _say_nothing_to_do(project: Project) -> None:
    from bayplan.cli.console import out
    from bayplan.spec.find import FLEET_NAME, fleet_file

    console = out()
    if Path(FLEET_NAME).exists():
        console.print(f"{FLEET_NAME} and {project.compose} are there and stay as they are.")
    elif fleet_file(None, os.environ):
        console.print(f"{project.compose} is there and stays as it is.")
    else:
        console.print(
            f"{project.compose} is there and stays as it is. Without a {FLEET_NAME} this machine's Docker runs it;"
        )
        console.print("name hosts to write one: [cyan]bayplan init deploy@10.0.0.11 deploy@10.0.0.12[/]")
    _say_whose_fleet(console)
    console.print("Next: [cyan]bayplan up[/]")


def _say_whose_fleet(console: Console) -> None:
    """Where what comes next goes somewhere else than to a fleet.yaml here: a shell keeps what somebody once set."""
    from rich.markup import escape

    from bayplan.spec.find import FLEET_NAME, fleet_file

    here, found = Path(FLEET_NAME).absolute(), fleet_file(None, os.environ)
    if found is None or found.absolute() == here:
        return
    if here.exists():
        console.print(
            f"[yellow]![/] the fleet is {escape(str(found))}, by BAYPLAN_FLEET, and not the {FLEET_NAME} here"
        )
        console.print("  [dim]to have this one: unset BAYPLAN_FLEET[/]")
    else:
        console.print(f"[dim]The fleet is {escape(str(found))}.[/]")


def _example(project: Project, texts: dict[str, str]) -> tuple[str, str] | None:
    """Why the app is an image that nobody asked for, and what to do; None if it is not."""
    if project.dockerfile is not None or f"image: {IMAGE}\n" not in texts.get("compose.yaml", ""):
        return None
    why = f"looked for a Dockerfile here and found none: web runs {IMAGE}, which is an example"
    anew = "write a Dockerfile{}, then: bayplan init --force"
    if project.manifest:
        return why, f"{project.manifest} does not say how an image is built: {anew.format(' for it')}"
    return why, f"write your own image into compose.yaml; or {anew.format('')}"


def _tell(texts: dict[str, str], kept: Sequence[Path], seen: Sequence[Seen], example: tuple[str, str] | None) -> None:
    from rich.markup import escape

    from bayplan.cli.console import out
    from bayplan.spec.find import fleet_file

    console = out()
    for s in seen:
        if s.why:
            console.print(f"[yellow]![/] [bold]{s.host.name}[/]: {escape(s.why)}\n  [dim]{escape(s.todo)}[/]")
        else:
            console.print(f"[green]✓[/] [bold]{s.host.name}[/] {s.at}, Docker {s.engine}")
    for name in texts:
        console.print(f"[green]✓[/] wrote [bold]{name}[/]")
    if example:
        console.print(f"[yellow]![/] {example[0]}\n  [dim]{example[1]}[/]")
    for path in kept:
        console.print(f"[dim]  the old one is {path.name}[/]")
    if not seen and fleet_file(None, os.environ) is None:
        console.print("[dim]No fleet.yaml: this machine's own Docker is used. Name hosts to have one.[/]")
    _say_whose_fleet(console)
    first = "[cyan]bayplan doctor[/], then " if seen else ""
    console.print(f"\nNext: {first}[cyan]bayplan up[/]")
