"""What `ps` shows."""

from __future__ import annotations

from typing import get_args

from bayplan.cli.ps import STYLES
from bayplan.operate.status import InstanceState


def test_every_state_of_a_replica_can_be_shown() -> None:
    assert set(STYLES) == set(get_args(InstanceState))
