"""How `lab up` shows its progress: a live line a stage on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text


class Progress:
    """Stages appear in the order in which they are first told of."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._began = time.monotonic()
        self._told = threading.Lock()
        self._stages: dict[str, tuple[str, bool]] = {}
        self._spinner = Spinner("dots")
        self._live = Live(console=self._console, refresh_per_second=10, get_renderable=self._render)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, stage: str, text: str, done: bool) -> None:
        """Called from several threads."""
        with self._told:
            known = self._stages.get(stage)
            self._stages[stage] = (text, done)
        if not self._console.is_terminal and known != (text, done):
            seconds = time.monotonic() - self._began
            self._console.print(f"{seconds:6.1f} s  {stage}: {text}{' (ready)' if done else ''}", soft_wrap=True)

    def _render(self) -> Group:
        with self._told:
            stages = list(self._stages.items())
        width = max((len(stage) for stage, _ in stages), default=0)
        return Group(*(self._line(f"{stage:{width}}", *state) for stage, state in stages))

    def _line(self, stage: str, text: str, done: bool) -> Text:
        mark = Text("✔", "green") if done else self._spin()
        return Text.assemble(" ", mark, "  ", (stage, "bold"), "  ", (text, "" if done else "dim"))

    def _spin(self) -> Text:
        frame = self._spinner.render(time.monotonic())
        return frame if isinstance(frame, Text) else Text("…")
