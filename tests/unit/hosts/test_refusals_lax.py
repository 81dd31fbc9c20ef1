"""Configurations of OpenSSH that take any host key."""

from __future__ import annotations

import pytest

from bayplan.hosts.refusals import is_lax


@pytest.mark.parametrize(
    ("checking", "files", "lax"),
    [
        ("no", "~/.ssh/known_hosts", True),
        ("off", "~/.ssh/known_hosts", True),
        ("ask", "/dev/null", False),
        ("accept-new", "~/.ssh/known_hosts ~/.ssh/known_hosts2", False),
        ("accept-new", "/dev/null", True),
        ("accept-new", "none", True),
        ("accept-new", "/dev/null ~/.ssh/known_hosts", False),
    ],
)
def test_a_configuration_that_remembers_no_host_key_is_lax(checking: str, files: str, lax: bool) -> None:
    assert is_lax({"stricthostkeychecking": [checking], "userknownhostsfile": [files]}) is lax
