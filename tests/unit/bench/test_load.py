"""wrk's report is read whole: failures are never overlooked."""

import pytest
from bench.operations.load import LoadError, read_wrk

CLEAN = """Running 3s test @ http://10.77.0.11:20080/
  1 threads and 16 connections
  96786 requests in 3.00s, 30.09MB read
Requests/sec:  32246.68
Transfer/sec:     10.03MB
"""
BROKEN = CLEAN.replace(
    "Requests/sec",
    "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\nRequests/sec",
)


def test_a_clean_run() -> None:
    told = read_wrk(CLEAN)
    assert (told.rate, told.requests, told.failed) == (32246.68, 96786, 0)


def test_every_kind_of_failure_counts() -> None:
    assert read_wrk(BROKEN).failed == 15


def test_what_is_no_report_is_an_error() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        read_wrk("unable to connect to 10.77.0.11:20080 Connection refused")
