"""What somebody is told of their keys when a host refuses them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bayplan.hosts.keys import agent_of, told


@pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_a_key_with_a_passphrase_is_told_as_that(form: str, passphrase: str, tmp_path: Path) -> None:
    """BatchMode asks nobody for it, and the host was said to lack the key."""
    key = tmp_path / "key"
    made = ["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-m", form, "-N", passphrase, "-f", key]
    subprocess.run(made, check=True)
    said = told([str(key)], "")
    assert said.startswith(f"keys that were offered: {key}")
    assert (f"ssh-add {key}" in said) is bool(passphrase)


def test_what_is_not_there_was_not_offered(tmp_path: Path) -> None:
    none = str(tmp_path / "none")
    assert told([none], "/run/agent") == "keys that were offered: the agent's"
    assert told([none], "") == f"no key was offered: no agent runs, and there is no {none}"
    assert told([], "") == "no key was offered: no agent runs"


@pytest.mark.parametrize(
    ("configured", "environment", "agent"),
    [
        ("", {}, ""),
        ("", {"SSH_AUTH_SOCK": "/a"}, "/a"),
        ("SSH_AUTH_SOCK", {"SSH_AUTH_SOCK": "/a"}, "/a"),
        ("none", {"SSH_AUTH_SOCK": "/a"}, ""),
        ("/b", {"SSH_AUTH_SOCK": "/a"}, "/b"),
        ("${MINE}", {"MINE": "/c"}, "/c"),
    ],
)
def test_the_agent_is_the_one_that_ssh_asks(configured: str, environment: dict[str, str], agent: str) -> None:
    assert agent_of(configured, environment) == agent
