"""A lab of its own for each file of lab tests: what one breaks on purpose, no other has to live with.

Files that are marked `shares_lab` break nothing, or mend it: they share one in each process of the test run.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import MakeLab
from tests.lab.site import Site, a_site, asked

from bayplan import lab as labs
from bayplan import labels
from bayplan.errors import LabError
from bayplan.lab import Lab
from bayplan.lab.process import wait_for

SOON = 5.0  # seconds; another lab takes ten times as long


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, make_lab: MakeLab, left_whole: list[Lab]) -> Iterator[Lab]:
    """Three hosts, h1 to h3, shared by the tests of a file."""
    shares = request.node.get_closest_marker("shares_lab") is not None
    made = left_whole.pop() if shares and left_whole else make_lab(hosts=3)
    yield made
    if shares and becomes_whole(made):
        left_whole.append(made)
    else:
        labs.down(made.name)


@pytest.fixture(scope="module")
def standing(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of the file's own that is called as the file is, up until its last test."""
    name = request.node.path.stem.removeprefix("test_").replace("_", "-")
    with a_site(lab, tmp_path_factory.mktemp(name), name) as site:
        yield site


@pytest.fixture
def site(standing: Site) -> Site:
    """It, in three replicas of its version, whatever the test before left."""
    standing.mend()
    return standing


@pytest.fixture(scope="session")
def left_whole() -> list[Lab]:
    """The lab that files share, while none of them has it."""
    return []


def becomes_whole(lab: Lab) -> bool:
    """Whether it is whole soon: the lock of the last command goes a moment after it."""
    try:
        return wait_for(lambda: is_whole(lab), f"{lab.name} is whole", deadline=SOON)
    except LabError:
        return False


def is_whole(lab: Lab) -> bool:
    """Whether every host is up, and runs what bayplan itself needs there and nothing else."""
    return all(h.state == "up" and not strangers(lab, h.host) for h in lab.status().hosts)


def strangers(lab: Lab, host: str) -> list[str]:
    """Containers there that are no gateway, guard or registry of the lab's fleet, or that do not run."""
    return [
        entry["Names"][0]
        for entry in asked(lab, host, "/containers/json?all=1")
        if entry["Labels"].get(labels.FLEET) != lab.name
        or entry["Labels"].get(labels.ROLE) not in {"gateway", "guard", "registry"}
        or entry["State"] != "running"
    ]
