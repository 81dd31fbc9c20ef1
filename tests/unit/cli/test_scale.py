"""What `scale` is asked for."""

from __future__ import annotations

import pytest

from bayplan.cli.scale import _counts
from bayplan.errors import UsageError


def test_each_service_has_its_count() -> None:
    assert _counts(["web=3", "api=0", "web=3"]) == {"web": 3, "api": 0}


@pytest.mark.parametrize("text", ["web", "web=", "=3", "web=-1", "web=x", "web=1.5"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(UsageError, match="is not SERVICE=N"):
        _counts([text])


def test_two_counts_for_one_service_are_not_the_last_of_them() -> None:
    with pytest.raises(UsageError, match="web is to be 3 and 4"):
        _counts(["web=3", "web=4"])
