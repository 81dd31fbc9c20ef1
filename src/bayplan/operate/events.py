"""What an operation tells while it runs; `cli/` makes a picture of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bayplan.converge.outcome import PassEvent, StepEvent
from bayplan.ports import Transfer


@dataclass(frozen=True, slots=True)
class Stage:
    """A new stage of the work: "hosts", "images", "replicas". text: what is told of it, or its name again."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """A service's image is being built, copied or pushed; or, with done, is pinned as `text`."""

    service: str
    transfer: Transfer
    done: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know of besides, and that stops nothing."""

    text: str


Event = Stage | Note | ImageEvent | StepEvent | PassEvent
OnEvent = Callable[[Event], None]
