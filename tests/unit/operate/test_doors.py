"""What a host listens on, from the kernel's tables, and what that is in the way of."""

from __future__ import annotations

import pytest

from bayplan.listening import listening
from bayplan.operate.doors import Door

TABLES = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0B064D0A:4E70 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0B064D0A:9C40 0C064D0A:0050 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_the_kernel_s_tables_are_read() -> None:
    assert list(listening(TABLES.splitlines())) == [("", 8080), ("10.77.6.11", 20080), ("", 80)]


@pytest.mark.parametrize(
    ("one", "other", "is_in_the_way"),
    [
        (Door(80), Door(80), True),
        (Door(80), Door(81), False),
        (Door(80, "127.0.0.1"), Door(80), True),
        (Door(80), Door(80, "10.77.0.11"), True),
        (Door(80, "127.0.0.1"), Door(80, "10.77.0.11"), False),
        (Door(80, "10.77.0.11"), Door(80, "10.77.0.11"), True),
    ],
)
def test_one_port_is_in_the_way_of_the_same_on_the_same_address(one: Door, other: Door, is_in_the_way: bool) -> None:
    assert one.is_in_the_way_of(other) == is_in_the_way
