"""The terminal as the command line writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from bayplan.terminal_text import plain

if TYPE_CHECKING:
    from rich.text import Text


class Screen(Console):
    """It shows what hosts, registries and releases say, and does nothing of what that would have a terminal do."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(plain(text), **how)
