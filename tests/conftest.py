"""Real hosts for the tests: one lab for the session, more of them on demand."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from bayplan import lab as labs
from bayplan.errors import LabError
from bayplan.lab import Lab

settings.register_profile("patient", deadline=None)  # others use the machine, too
settings.load_profile("patient")

LAB_TESTS = Path(__file__).parent / "lab"
MakeLab = Callable[..., Lab]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a lab, and has it begin first: it waits for most of its time, and the others fill the gaps."""
    for item in items:
        if item.path.is_relative_to(LAB_TESTS) or "make_lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
    items.sort(key=lambda item: not item.path.is_relative_to(LAB_TESTS))


@pytest.fixture(scope="session", autouse=True)
def _remains() -> None:
    """Labs of test runs that were killed."""
    for name in labs.names():
        owner = re.match(r"t(\d+)-", name)
        if owner and not Path("/proc", owner[1]).exists():
            with suppress(LabError):
                labs.down(name)


@pytest.fixture(scope="session", autouse=True)
def _heeded() -> None:
    """A shell has what it begins with `&` ignore Ctrl-C, and nohup a hang-up; what tests interrupt would inherit that,
    and wait for ever.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    """make_lab(hosts=2, engine="debian13") -> Lab, taken down when the session ends (or sooner, with labs.down)."""
    made: list[str] = []

    def make(hosts: int = 1, engine: labs.EngineKind = "debian12") -> Lab:
        name = f"t{os.getpid()}-{len(made)}"
        made.append(name)
        return _or_skip(lambda: labs.up(name, hosts, engine, tmp_path_factory.mktemp(name)))

    yield make
    for name in made:
        labs.down(name)


@pytest.fixture(scope="session")
def lab(make_lab: MakeLab) -> Lab:
    """Three hosts, h1 to h3, shared by the tests of the session: leave it whole, and take away what you start."""
    return make_lab(hosts=3)


@pytest.fixture(scope="session")
def modern(make_lab: MakeLab) -> Lab:
    """One host, h1, with a current engine (Docker 26.1), shared likewise."""
    return make_lab(hosts=1, engine="debian13")


@pytest.fixture(scope="session")
def containerd(make_lab: MakeLab) -> Lab:
    """The same, where containerd stores the images, as it does for a Docker 29 that is new on its host."""
    made = make_lab(hosts=1, engine="debian13")
    settings = made.root("h1") / "etc/docker/daemon.json"
    told = json.loads(settings.read_text())
    told["features"] = {"containerd-snapshotter": True}
    told["insecure-registries"] = [mirror.removeprefix("http://") for mirror in told["registry-mirrors"]]
    settings.write_text(json.dumps(told))
    made.fault("kill-engine", "h1")
    made.fault("start-engine", "h1")
    return made


def _or_skip(make: Callable[[], Lab]) -> Lab:
    try:
        return make()
    except LabError as cannot:
        if os.environ.get("BAYPLAN_REQUIRE_LAB") == "1":
            pytest.fail(f"the lab is required and cannot be made: {cannot}", pytrace=False)
        pytest.skip(f"no lab: {cannot}")
