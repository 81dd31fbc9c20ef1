"""Which images there are, and who has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from bayplan.errors import HostUnreachableError, NoHostError
from bayplan.images.memory import MemoryRegistry
from bayplan.operate.kept_images import list_images
from bayplan.ports import Engine


@dataclass
class Has:
    """An engine with these names; None: it does not answer."""

    names: frozenset[str] | None

    async def images(self) -> frozenset[str]:
        if self.names is None:
            raise HostUnreachableError("no route", where="h3")
        return self.names


async def test_by_name_with_their_hosts_and_without_releases() -> None:
    registry = MemoryRegistry()
    digest = registry.receive("localhost:5000/shop/web:c-1", "one")
    registry.receive("localhost:5000/shop/db:16", "two")
    await registry.put_document("bayplan/shop", "release-1", "x", b"{}")
    engines = {
        "h1": Has(frozenset({f"localhost:5000/shop/web@{digest}", "localhost:5000/shop/db:16"})),
        "h2": Has(frozenset({f"localhost:5000/other/web@{digest}"})),
        "h3": Has(None),
    }
    found = await list_images(registry, cast("dict[str, Engine]", engines))
    assert [(i.repository, i.tag, i.size, i.hosts) for i in found.images] == [
        ("shop/db", "16", 3, ("h1",)),
        ("shop/web", "c-1", 3, ("h1",)),
    ]
    assert found.unknown == {"h3": "no route"}


async def test_a_fleet_that_does_not_answer_is_not_one_without_images() -> None:
    with pytest.raises(NoHostError, match="no host of the fleet answers"):
        await list_images(None, cast("dict[str, Engine]", {"h1": Has(None)}))
