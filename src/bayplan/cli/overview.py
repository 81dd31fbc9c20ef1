"""`--help`, in plain text: drawing it with rich takes longer than everything else that it does."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

WIDEST = 100
VERBS = 12  # columns before a verb's sentence
VALUES = 30  # columns at most before an option's
NARROW = 60  # columns below which a sentence begins in the line below


class Overview(TyperGroup):
    """The verbs by panel, a sentence each."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        bold, dim, off = _styles()
        lines = [f"{bold}{self.help}{off}", "", f"  bayplan VERB [OPTIONS]   {dim}bayplan VERB --help tells more{off}"]
        for panel, verbs in self._panels(ctx).items():
            lines += ["", f"{bold}{panel}{off}", *_listed(verbs, VERBS)]
        options = "--version   --install-completion   --show-completion   -h, --help"
        lines += ["", f"{bold}Options{off}", f"  {options}", "", *textwrap.wrap(self.epilog or "", _width())]
        sys.stdout.write("\n".join(lines) + "\n")

    def _panels(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, verb in _verbs(self, ctx):
            panels.setdefault(str(getattr(verb, "rich_help_panel", "")), []).append((name, _first(verb)))
        return panels


class Verb(TyperCommand):
    """What it does, and each of its arguments and options."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        sys.stdout.write("\n".join(_page(self, ctx)) + "\n")


class Verbs(TyperGroup):
    """A verb that has verbs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        bold, _, off = _styles()
        verbs = [(name, _first(verb)) for name, verb in _verbs(self, ctx)]
        lines = [*_page(self, ctx), "", f"{bold}Verbs{off}", *_listed(verbs, VERBS)]
        sys.stdout.write("\n".join(lines) + "\n")


def in_plain_text(app: typer.Typer) -> None:
    """Each verb of it explains itself so."""
    for command in app.registered_commands:
        command.cls = Verb
    for group in app.registered_groups:
        if group.typer_instance:
            group.cls = Verbs
            in_plain_text(group.typer_instance)


def _page(verb: Any, ctx: Any) -> Iterator[str]:
    bold, dim, off = _styles()
    for line in textwrap.wrap(_usage(verb, ctx), _width(), subsequent_indent="  "):
        yield f"{dim}{line}{off}"
    for paragraph in (verb.help or "").strip().split("\n\n"):
        yield ""
        yield from textwrap.wrap(paragraph, _width())
    panels: dict[str, list[tuple[str, str]]] = {}
    for one in verb.get_params(ctx):
        if not getattr(one, "hidden", False):
            is_argument = one.param_type_name == "argument"
            panel = one.rich_help_panel or ("Arguments" if is_argument else "Options")
            panels.setdefault(panel, []).append((_name_of(one), _explained(one)))
    for panel, rows in panels.items():
        longest = max(len(name) for name, _ in rows) + 4
        head = (f"{bold}{line}{off}" for line in textwrap.wrap(panel, _width()))
        yield from ("", *head, *_listed(rows, min(longest, VALUES)))


def _usage(verb: Any, ctx: Any) -> str:
    words = ["bayplan", *ctx.command_path.split()[1:], "[OPTIONS]"]
    for one in verb.get_params(ctx):
        if one.param_type_name == "argument":
            name = _name_of(one) if one.required else f"[{_name_of(one)}]"
            words.append(name if one.nargs == 1 else f"{name}...")
    return " ".join([*words, *([_verb_of(verb)] if isinstance(verb, TyperGroup) else [])])


def _verb_of(group: TyperGroup) -> str:
    return "[VERB]" if group.invoke_without_command else "VERB"


def _listed(rows: Sequence[tuple[str, str]], margin: int) -> Iterator[str]:
    """A name and its sentence each; the sentence begins below a name that is too long."""
    margin = margin if _width() >= NARROW or margin == VERBS else VERBS - 6
    for name, sentence in rows:
        lines = textwrap.wrap(sentence, max(_width() - margin, VERBS)) or [""]
        if len(name) + 4 > margin:
            yield f"  {name}"
        else:
            yield f"  {name:{margin - 2}}{lines.pop(0)}"
        yield from (" " * margin + line for line in lines)


def _name_of(one: Any) -> str:
    """`-f, --file FILE`."""
    if one.param_type_name == "argument":
        return str(one.metavar or one.name.upper())
    names = ", ".join(sorted(one.opts, key=len))
    if one.is_flag:
        return names
    choices = one.type_descriptor.choices
    value = one.metavar or ("|".join(str(c.value) for c in choices) if choices else _last_word(one.opts))
    return f"{names} {value}"


def _last_word(names: Sequence[str]) -> str:
    return max(names, key=len).lstrip("-").rpartition("-")[2].upper()


def _explained(one: Any) -> str:
    """Its sentence; what it is unless given; whether it may be given several times."""
    more = []
    if isinstance(one.show_default, str):
        more.append(f"default: {one.show_default}")
    elif not getattr(one, "is_flag", False) and one.default not in (None, ""):
        more.append(f"default: {_plain(one.default)}")
    if one.envvar:
        more.append(f"or the variable {one.envvar}")
    if getattr(one, "multiple", False):
        more.append("may be repeated")
    return f"{one.help} ({'; '.join(more)})" if more else str(one.help)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(getattr(value, "value", value))


def _verbs(group: TyperGroup, ctx: Any) -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(ctx):
        verb = group.get_command(ctx, name)
        if verb is not None and not verb.hidden:
            yield name, verb


def _first(verb: Any) -> str:
    return (verb.help or "").strip().split("\n\n")[0].replace("\n", " ")


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)


def _styles() -> tuple[str, str, str]:
    """Bold, dim and off, as the terminal allows."""
    has_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return ("\033[1m", "\033[2m", "\033[0m") if has_colour else ("", "", "")
