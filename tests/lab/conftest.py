"""A lab of its own for each file of lab tests: what one breaks on purpose, no other has to live with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import MakeLab
from tests.lab.site import Site, a_site

from bayplan import lab as labs
from bayplan.lab import Lab


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Iterator[Lab]:
    """Three hosts, h1 to h3, shared by the tests of a file."""
    made = make_lab(hosts=3)
    yield made
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
