"""A lab of its own for each file of lab tests: what one breaks on purpose, no other has to live with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import MakeLab

from bayplan import lab as labs
from bayplan.lab import Lab


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Iterator[Lab]:
    """Three hosts, h1 to h3, shared by the tests of a file."""
    made = make_lab(hosts=3)
    yield made
    labs.down(made.name)
