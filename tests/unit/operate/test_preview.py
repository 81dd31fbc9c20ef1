"""What `plan` tells of a plan that cannot be."""

from __future__ import annotations

import pytest
from tests.given import fleet

from bayplan.errors import UsageError
from bayplan.operate.ask import check_hosts
from bayplan.operate.preview import Preview, as_json
from bayplan.plan.steps import Failure


def test_a_listener_that_another_app_holds_is_not_nothing_to_do() -> None:
    held = Failure("h1", "web", "", "port 80 of the balancer is held by the app blog")
    found = Preview((), (), (), (), (held,), {})
    assert not found.is_empty
    assert [f["why"] for f in as_json(found)["failures"]] == [held.why]


def test_a_misspelt_host_is_told_and_not_ignored() -> None:
    check_hosts(fleet("h1", "h2"), ["h2"])
    with pytest.raises(UsageError, match="no host h3"):
        check_hosts(fleet("h1", "h2"), ["h2", "h3"])
