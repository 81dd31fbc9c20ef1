"""The git commit that an app's files are of, for the release to tell."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bayplan.ports import Source

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
    """What it prints; None if it cannot."""
    try:
        process = await asyncio.create_subprocess_exec(
            "git", *words, cwd=directory, env={**os.environ, **_GIT},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    try:
        async with asyncio.timeout(DEADLINE):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else None
