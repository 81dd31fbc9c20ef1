"""The git commit that an app's files are of, for the release to tell."""

from __future__ import annotations

import os
from pathlib import Path

from bayplan.ports import Source
from bayplan.program import answer

DEADLINE = 5.0  # seconds; a large work tree on a slow disk is not waited for
_GIT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


async def source_of(directory: Path | None) -> Source:
    """Of a directory in a git work tree; nothing where there is none, or no git. dirty: of that directory and below."""
    commit = await _git(directory, "rev-parse", "--verify", "HEAD") if directory else None
    if not commit:
        return Source()
    changed = await _git(directory, "status", "--porcelain", "--", ".")
    return Source(commit.strip(), dirty=changed is None or bool(changed.strip()))


async def _git(directory: Path | None, *words: str) -> str | None:
    return await answer("git", *words, deadline=DEADLINE, directory=directory, environment={**os.environ, **_GIT})
