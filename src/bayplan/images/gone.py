"""Whether the images that a release pins are still to be had, before anything is begun with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bayplan.ports import Registry
from bayplan.spec.model import App


async def gone(app: App, registry: Registry | None, here: Iterable[str]) -> dict[str, str]:
    """Images by service that the fleet's registry does not have and no host has. here: what any host can run."""
    there = frozenset(here)
    absent = {name: s.image for name, s in app.services.items() if s.image not in there}
    if registry is None:
        return absent
    images = sorted(set(absent.values()))
    kept = dict(zip(images, await asyncio.gather(*(_is_kept(registry, i) for i in images)), strict=True))
    return {name: image for name, image in absent.items() if not kept[image]}


async def _is_kept(registry: Registry, image: str) -> bool:
    """An image of another registry is that one's to give."""
    repository, _, digest = image.removeprefix(f"{registry.prefix}/").partition("@")
    if not image.startswith(f"{registry.prefix}/") or not digest:
        return True
    return await registry.stored(repository, digest) is not None
