"""Where everything happens: a lab of three hosts with the small web server on it, gone again at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bayplan import lab as labs
from bayplan.lab import EngineKind, Lab
from bench.operations.bayplan import Bayplan
from bench.operations.load import until_distinct

HOSTS = 3
FEW, MANY = 3, 30
APP, SERVICE, PORT = "bench", "web", 80
CPUS, MEMORY = 1.0, 64 << 20  # the limits in web/compose.yaml

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """A lab, and bayplan pointed at it. say: tells the person who waits what happens."""

    lab: Lab
    bayplan: Bayplan
    say: Say

    @property
    def address(self) -> str:
        """Where the balancer is."""
        return self.lab.hosts[0].private_ip

    @property
    def url(self) -> str:
        return f"http://{self.address}:{PORT}/"

    @property
    def sockets(self) -> dict[str, Path]:
        """The engines' sockets by host."""
        return {h.name: self.lab.socket(h.name) for h in self.lab.hosts}

    def at(self, replicas: int) -> None:
        """Bring the service to that many replicas, all of them answering."""
        self.bayplan.timed("scale", f"{SERVICE}={replicas}")
        until_distinct(self.address, PORT, replicas)


@contextmanager
def stage(name: str, engine: EngineKind, say: Say, *, keep: bool) -> Iterator[Stage]:
    """keep: leave the lab up, for the next run while one works on the benchmarks."""
    directory = Path(tempfile.gettempdir()) / f"bayplan-{name}"
    try:
        say(f"a lab of {HOSTS} hosts")
        lab = labs.up(name, HOSTS, engine, directory)
        app = directory / "web"
        shutil.copytree(Path(__file__).parent / "web", app, dirs_exist_ok=True)
        here = Stage(lab, Bayplan(app, lab.fleet_file), say)
        say(f"bayplan up: {FEW} replicas")
        here.bayplan.timed("up")
        here.at(FEW)
        yield here
    finally:
        if not keep:
            say("taking the lab down")
            labs.down(name)
            shutil.rmtree(directory, ignore_errors=True)
