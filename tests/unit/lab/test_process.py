"""One lab is made at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayplan.errors import LabError
from bayplan.lab.process import alone


def test_the_next_one_waits_and_not_for_ever(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with alone(lock), pytest.raises(LabError, match="another `bayplan lab` is at work"), alone(lock, deadline=0.1):
        pass
    with alone(lock, deadline=0.1):
        pass
