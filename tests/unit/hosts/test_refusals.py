"""Configurations of OpenSSH that take any host key."""

from __future__ import annotations

import pytest

from bayplan.hosts.refusals import is_lax, of_connection


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


def test_a_key_that_others_may_read_was_not_offered() -> None:
    """OpenSSH 9.2's words. Told was that it had been offered, and to put it there."""
    said = (
        "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\n"
        "Permissions 0644 for '/home/ann/.ssh/id_ed25519' are too open.\n"
        "This private key will be ignored.\n"
        'Load key "/home/ann/.ssh/id_ed25519": bad permissions\n'
        "deploy@10.77.0.11: Permission denied (publickey,password).\n"
    )
    error = of_connection("h1", said, {"user": ["deploy"], "hostname": ["10.77.0.11"]}, None)
    assert "others may read the key /home/ann/.ssh/id_ed25519" in error.what
    assert error.todo == "chmod 600 /home/ann/.ssh/id_ed25519"
