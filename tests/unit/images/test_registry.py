"""What the registry's client asks, and how much at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.virtual_time import run

from bayplan.images.registry import HttpRegistry
from bayplan.images.transport import Answer

NAMES = [f"shop/s{n}" for n in range(40)]
AT_ONCE = 16


def test_the_tags_of_many_repositories_are_asked_side_by_side_and_not_all_at_once() -> None:
    asked = most = 0

    async def send(_method: str, path: str, **_: Any) -> Answer:
        nonlocal asked, most
        if "_catalog" in path:
            return Answer(200, {}, json.dumps({"repositories": NAMES}).encode())
        asked += 1
        most = max(most, asked)
        await asyncio.sleep(1)
        asked -= 1
        return Answer(200, {}, b'{"tags": ["one"]}')

    async def story() -> None:
        registry = HttpRegistry("localhost:5000")
        registry._transport.send = send  # type: ignore[method-assign, assignment]
        began = asyncio.get_running_loop().time()
        assert [r.name for r in await registry.repositories()] == NAMES
        assert (most, asyncio.get_running_loop().time() - began) == (AT_ONCE, 3)

    run(story())


def test_a_document_is_put_in_three_turns() -> None:
    """Whether the tag is taken and what it is made of, beside the upload's beginning; its content; its manifest."""
    asked: list[tuple[float, str]] = []

    async def send(method: str, path: str, **_: Any) -> Answer | None:
        now = asyncio.get_running_loop().time
        asked.append((now(), f"{method} {path.split('/')[4]}"))
        await asyncio.sleep(1)
        is_tag = "manifests" in path and method == "HEAD"
        return None if is_tag else Answer(200, {"location": "/v2/shop/web/blobs/uploads/one"}, b"")

    async def story() -> None:
        registry = HttpRegistry("localhost:5000")
        registry._transport.send = send  # type: ignore[method-assign, assignment]
        began = asyncio.get_running_loop().time()
        await registry.put_document("shop/web", "release-2", "kind", b"content")
        turns = [{what for at, what in asked if at == began + turn} for turn in range(3)]
        assert turns == [{"HEAD manifests", "HEAD blobs", "POST blobs"}, {"PUT blobs"}, {"PUT manifests"}]
        assert asyncio.get_running_loop().time() == began + 3

    run(story())
