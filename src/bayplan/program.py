"""Programs of this machine that are asked something and whose answer is not needed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path


async def answer(
    *argv: str, deadline: float, directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> str | None:
    """What it prints; None when it is not there, fails, or has not ended within so many seconds, and is killed then."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=directory,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(deadline):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else None
