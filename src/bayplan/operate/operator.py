"""Who it is that works on the fleet: told in releases and by the lock."""

from __future__ import annotations

import getpass
import os
import socket

# What builds set to the person whose change they run: GitHub Actions' and GitLab CI's own words.
_PERSONS = (("GITHUB_ACTOR", "GitHub Actions"), ("GITLAB_USER_LOGIN", "GitLab CI"))


def operator() -> str:
    """`ann@laptop`; in a build `ann, GitHub Actions`. BAYPLAN_OPERATOR says otherwise."""
    if named := os.environ.get("BAYPLAN_OPERATOR"):
        return named
    for variable, service in _PERSONS:
        if person := os.environ.get(variable):
            return f"{person}, {service}"
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    """In a container, a user may well have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13
        return str(os.getuid())
