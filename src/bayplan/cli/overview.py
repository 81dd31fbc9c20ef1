"""`bayplan --help`, in plain text: drawing it with rich takes longer than everything else that it does."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import Any

from typer.core import TyperGroup

WIDEST = 100
MARGIN = 12  # columns before a verb's sentence


class Overview(TyperGroup):
    """The verbs by panel, a sentence each."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        del formatter
        bold, dim, off = ("\033[1m", "\033[2m", "\033[0m") if _colour() else ("", "", "")
        lines = [f"{bold}{self.help}{off}", "", f"  bayplan VERB [OPTIONS]   {dim}bayplan VERB --help tells more{off}"]
        for panel, verbs in self._panels(ctx).items():
            lines += ["", f"{bold}{panel}{off}"]
            for name, sentence in verbs:
                first, *rest = textwrap.wrap(sentence, _width() - MARGIN) or [""]
                lines += [f"  {name:{MARGIN - 2}}{first}", *(" " * MARGIN + line for line in rest)]
        options = "--version   --install-completion   --show-completion   -h, --help"
        lines += ["", f"{bold}Options{off}", f"  {options}", "", *textwrap.wrap(self.epilog or "", _width())]
        sys.stdout.write("\n".join(lines) + "\n")

    def _panels(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            verb = self.get_command(ctx, name)
            if verb is not None and not verb.hidden:
                sentence = (verb.help or "").strip().split("\n\n")[0].replace("\n", " ")
                panels.setdefault(str(getattr(verb, "rich_help_panel", "")), []).append((name, sentence))
        return panels


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
