"""Live progress: a stage a line, each host a row of its replicas; plain lines where there is no terminal."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bayplan.cli.console import err, waited_for
from bayplan.cli.silence import Silence
from bayplan.cli.story import Story
from bayplan.converge.outcome import PassEvent, StepEvent
from bayplan.facts import Facts, Replica
from bayplan.operate.events import Event, ImageEvent, Note, Stage
from bayplan.plan.standing import endpoints, word_for
from bayplan.plan.steps import Pull, Start, Stop
from bayplan.ports import Transfer
from bayplan.terminal_text import plain
from bayplan.units import show_bytes

# How an instance looks while it is on its way: symbol, style.
MARKS = {
    "ready": ("●", "green"),
    "starting": ("◐", "yellow"),
    "draining": ("◌", "dim"),
    "standby": ("‖", "cyan"),
    "stopped": ("○", "dim"),
    "failed": ("✗", "red"),
}
_OF_NO_USE = re.compile(r" ---> (Running in )?[0-9a-f]{12}|Removing intermediate container [0-9a-f]{12}")
RECENT = 5  # lines of what has just happened


@dataclass(slots=True)
class _Stage:
    name: str
    text: str
    began: float
    ended: float | None = None
    lines: dict[str, str] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)


class Progress:
    """Called with each event of an operation on an app, or on all (None); a context manager that owns the live part of
    the screen.
    """

    def __init__(self, app: str | None, *, quiet: bool = False) -> None:
        self._app, self._quiet = app, quiet
        self.began = time.monotonic()
        self.stages: list[_Stage] = []
        self.facts: Facts | None = None
        self.notes: list[str] = []
        self.changed = False  # whether any step was done
        self._slow: set[str] = set()
        self._retrying: dict[str, int] = {}  # seconds, by service
        self._story, self._silence = Story(), Silence()
        self._stopped: set[str] = set()  # by us, so that they have not failed
        self._recent: tuple[str, ...] = ()  # a value: the screen is drawn by another thread
        self._pulls: dict[tuple[str, str], dict[str, Transfer]] = {}
        self._console = err()
        self._is_live = self._console.is_terminal and not quiet
        self._live = Live(console=self._console, refresh_per_second=10, get_renderable=self._picture, transient=True)

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._say_all(self._story.rest())
        self._end_stage()
        if self._is_live:
            self._live.stop()
            if self.stages:
                self._console.print(Group(*self._stage_lines(final=True)))
        if kind is KeyboardInterrupt:
            self._console.print("[yellow]interrupted[/]: what was begun is finished, or undone, by the next bayplan up")

    def __call__(self, event: Event) -> None:
        match event:
            case Stage():
                self._say_all(self._story.rest())
                self._end_stage()
                self._begin_stage(_Stage(event.name, event.text, time.monotonic()))
                if event.text != event.name:
                    self._say(event.text)
                self._recent = ()
            case Note():
                self.notes.append(event.text)
                if self._is_live:
                    self._console.print(Text.assemble(("! ", "yellow"), plain(event.text)))
                self._say(f"! {event.text}")
            case ImageEvent():
                self._image(event)
            case StepEvent():
                self._step(event)
                self._say_all(self._story.heard(event))
            case PassEvent():
                self.facts = event.facts
                self._say_all(self._story.heard(event))
                self._say_all(self._silence.broken(event.plan))

    def slow(self, host: str) -> None:
        """It is waited for."""
        if host not in self._slow:
            self._slow.add(host)
            self._say(waited_for(host))
            if self.stages and self._is_live:
                self.stages[-1].waits.append(host)

    # -- what happens -------------------------------------------------------------------------------------------------

    def _begin_stage(self, stage: _Stage) -> None:
        """Hosts that wait for the lock are a stage again once it is ours."""
        if stage.name == "lock" and self.stages and self.stages[-1].name == "hosts":
            self.stages[-1] = stage
        else:
            self.stages.append(stage)

    def _end_stage(self) -> None:
        if self.stages and self.stages[-1].ended is None:
            self.stages[-1].ended = time.monotonic()

    def _image(self, event: ImageEvent) -> None:
        text = _transfer_text(event.transfer)
        if self.stages and text:
            self.stages[-1].lines[event.service] = text
        is_said = event.transfer.text and not event.transfer.layer and not _OF_NO_USE.fullmatch(event.transfer.text)
        if event.done or is_said:
            self._say(f"{event.service}: {event.transfer.text or event.transfer.status}")
        elif seconds := event.transfer.again:
            before = self._retrying.get(event.service, 0)
            self._retrying[event.service] = seconds
            if seconds > before:  # it counts down, for each layer
                self._say(f"{event.service}: the registry failed; tried again in {seconds} s")

    def _step(self, event: StepEvent) -> None:
        step = event.step
        if isinstance(step, Pull):
            self._pull(step, event)
        if isinstance(step, Stop | Start) and event.state == "done":
            (self._stopped.add if isinstance(step, Stop) else self._stopped.discard)(step.replica)
        self.changed |= event.state == "done"

    def _pull(self, step: Pull, event: StepEvent) -> None:
        layers = self._pulls.setdefault((step.host, step.image), {})
        if event.state in ("done", "failed"):
            self._pulls.pop((step.host, step.image), None)
        elif event.transfer:
            layers[event.transfer.layer] = event.transfer

    def _say_all(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._say(line)

    def _say(self, line: str) -> None:
        self._silence.ends()
        line = plain(line)
        self._recent = (*self._recent, line)[-RECENT:]
        if not self._is_live and not self._quiet and line.strip():
            sys.stderr.write(f"{time.monotonic() - self.began:6.1f}s  {line}\n")

    # -- how it looks -------------------------------------------------------------------------------------------------

    def _picture(self) -> RenderableType:
        return Group(*self._stage_lines(final=False), *self._host_lines(), *self._recent_lines())

    def _recent_lines(self) -> Iterator[RenderableType]:
        if self.stages and self.stages[-1].name in ("hosts", "replicas"):
            yield from (Text(f"     {line}", "dim", overflow="ellipsis", no_wrap=True) for line in self._recent)

    def _stage_lines(self, *, final: bool) -> Iterator[RenderableType]:
        stages = [s for s in self.stages if not (final and s.name == "replicas")]  # its end is the report
        for stage in tuple(stages):
            is_done = stage.ended is not None
            took = f"{(stage.ended or time.monotonic()) - stage.began:5.1f} s"
            text = Text.assemble((f"{self._title(stage):40}", "bold" if not is_done else ""), (took, "dim"))
            yield _line(Text("✓", "green"), text) if is_done else _line(Spinner("dots", style="cyan"), text)
            if not is_done:
                yield from (_line(Text(" "), Text(f"  {waited_for(h)}", "yellow")) for h in tuple(stage.waits))
            if not is_done or final:
                for name, line in dict(stage.lines).items():
                    text = Text.assemble((f"  {name}  ", "cyan"), (line, "dim"), no_wrap=True, overflow="ellipsis")
                    yield _line(Text(" "), text)

    def _title(self, stage: _Stage) -> str:
        hosts = self.facts.hosts.values() if self.facts else ()
        if stage.name == "hosts" and stage.ended is not None and hosts:
            return f"{sum(h.reachable for h in hosts)} of {len(hosts)} hosts ready"
        if stage.name == "replicas" and self.facts:
            counts = Counter(self._state(r) for r in self.facts.replicas(self._app))
            return f"{stage.text}: " + (", ".join(f"{n} {s}" for s, n in counts.items()) or "nothing runs")
        return stage.text

    def _host_lines(self) -> Iterator[RenderableType]:
        if self.facts is None or not self.stages or self.stages[-1].name != "replicas":
            return
        grid = Table.grid(padding=(0, 2))
        for host in self.facts.hosts.values():
            dots = self._dots(host.name) if host.reachable else Text(host.lacks, "red")
            grid.add_row("   ", Text(host.name, "bold"), dots, Text(self._pull_text(host.name), "dim"))
        yield grid

    def _dots(self, host: str) -> Text:
        text = Text()
        for replica in self.facts.replicas(self._app) if self.facts else ():
            if replica.host == host:
                text.append(*MARKS[self._state(replica)])
                text.append(" ")
        return text

    def _state(self, replica: Replica) -> str:
        """As MARKS has it. Its service is not known here: what is led to wherever a gateway knows it is ready."""
        facts = self.facts or Facts()
        word = word_for(replica, facts)
        if word == "draining" and self._story.is_coming(replica):
            return "starting"
        if word:
            return "stopped" if word == "failed" and replica.name in self._stopped else word
        if self._story.is_going(replica):
            return "draining"
        seen = endpoints(replica, facts)
        is_led_to = all(e.facts.takes_traffic for e in seen) if seen else not replica.ports
        return "ready" if replica.alive and is_led_to else "starting"

    def _pull_text(self, host: str) -> str:
        layers = [t for (h, _), ls in dict(self._pulls).items() if h == host for t in dict(ls).values() if t.total]
        if not layers:
            return "pulls" if any(h == host for h, _ in tuple(self._pulls)) else ""
        done, total = sum(t.done for t in layers), sum(t.total for t in layers)
        return f"pulls {show_bytes(done)} of {show_bytes(total)}"


def _line(mark: RenderableType, text: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(mark, text)
    return grid


def _transfer_text(transfer: Transfer) -> str:
    if transfer.total:
        return f"{transfer.status} {show_bytes(transfer.done)} of {show_bytes(transfer.total)}"
    return transfer.text.strip().splitlines()[-1][:100] if transfer.text.strip() else transfer.status
