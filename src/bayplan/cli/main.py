"""`bayplan`: the verbs put together, errors told, exit statuses kept."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bayplan.cli import (
    balancer,
    config,
    cp,
    diff,
    doctor,
    down,
    exec,  # noqa: A004  the verb's name
    explain,
    halt,
    history,
    image,
    init,
    lab,
    logs,
    plan,
    ps,
    repack,
    rollback,
    run,
    scale,
    size,
    stats,
    up,
    volume,
)
from bayplan.cli.overview import Overview, in_plain_text

app = typer.Typer(
    name="bayplan",
    cls=Overview,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One Compose file in, a running fleet out.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage or file, 3 converged in part, 4 no host answers, 130 "
    "interrupted.",
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"bayplan {version('bayplan')}")
        raise typer.Exit


@app.callback()
def options(
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One Compose file in, a running fleet out."""


_LONG = {"-f": "--file", "-p": "--project-name"}  # every verb has them so; -f alone may be another option (logs)
_BEFORE = {*_LONG, *_LONG.values(), "--profile", "--fleet"}
_START, _APP, _LOOK, _FLEET = "Begin", "The app", "Look", "The fleet"
app.command(rich_help_panel=_START)(init.init)
app.command(rich_help_panel=_START)(config.config)
app.command(rich_help_panel=_START)(doctor.doctor)
app.command(rich_help_panel=_APP)(plan.plan)
app.command(rich_help_panel=_APP)(up.up)
app.command(rich_help_panel=_APP)(scale.scale)
app.command(rich_help_panel=_APP)(halt.stop)
app.command(rich_help_panel=_APP)(halt.start)
app.command(rich_help_panel=_APP)(halt.restart)
app.command(rich_help_panel=_APP)(rollback.rollback)
app.command(rich_help_panel=_APP)(down.down)
app.command(rich_help_panel=_LOOK)(ps.ps)
app.command(rich_help_panel=_LOOK)(logs.logs)
app.command("exec", rich_help_panel=_LOOK, context_settings={"allow_interspersed_args": False})(exec.exec_)
app.command(rich_help_panel=_LOOK, context_settings={"allow_interspersed_args": False})(run.run)
app.command(rich_help_panel=_LOOK)(cp.cp)
app.command(rich_help_panel=_LOOK)(stats.stats)
app.command(rich_help_panel=_LOOK)(explain.explain)
app.command(rich_help_panel=_FLEET)(size.size)
app.command(rich_help_panel=_FLEET)(repack.repack)
app.command(rich_help_panel=_LOOK)(diff.diff)
app.add_typer(history.app, name="history", rich_help_panel=_LOOK)
app.add_typer(volume.app, name="volume", rich_help_panel=_APP)
app.add_typer(image.app, name="image", rich_help_panel=_FLEET)
app.add_typer(balancer.app, name="balancer", rich_help_panel=_FLEET)
app.add_typer(lab.app, name="lab", rich_help_panel=_FLEET)
in_plain_text(app)


# What a terminal's encoding may lack (ISO 8859-1, GBK): a sign that says the same there.
_PLAIN = {"…": "...", "→": "->"} | dict(zip("✓✔✗│┃●◐◌○", "**x|!*~-o", strict=True))


def _with_streams() -> None:
    """A standard stream that was closed leads nowhere; else what is opened next would take its number. What cannot be
    encoded is told all the same, in other signs.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  until the end
    codecs.register_error("bayplan", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="bayplan")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def main() -> None:
    """The console script."""
    from bayplan.cli.console import told

    if "_BAYPLAN_COMPLETE" not in os.environ:
        sys.argv[1:] = verb_first(sys.argv[1:])
        _narrow(sys.argv[1:2])
    _with_streams()
    sys.exit(told(app))


def verb_first(words: list[str]) -> list[str]:
    """`-f a.yaml up` as `up --file a.yaml`: Compose's users have its options before the verb."""
    begin, options = 0, list[str]()
    while begin < len(words) and (name := words[begin].partition("=")[0]) in _BEFORE:
        count = 1 if "=" in words[begin] else 2
        options += [_LONG.get(name, name) + words[begin].removeprefix(name), *words[begin + 1 : begin + count]]
        begin += count
    if not words[begin:]:
        return words
    groups = {g.name for g in app.registered_groups}
    has_verb = words[begin] in groups and any(not word.startswith("-") for word in words[begin + 1 : begin + 2])
    verb = begin + 1 + has_verb
    return [*words[begin:verb], *options, *words[verb:]]


def _narrow(first: list[str]) -> None:
    """Typer builds the options of every verb before it runs one, which takes as long as the quick verbs themselves."""
    verbs = [c for c in app.registered_commands if first == [c.name or getattr(c.callback, "__name__", "")]]
    groups = [g for g in app.registered_groups if first == [g.name]]
    if verbs or groups:
        app.registered_commands, app.registered_groups = verbs, groups


if __name__ == "__main__":
    main()
