"""The HAProxy on one host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bayplan.facts import GatewayFacts
from bayplan.plan.steps import PoolChange
from bayplan.routing import Table


class Gateway(Protocol):
    """The HAProxy on one host. Every method raises GatewayError or HostUnreachableError."""

    host: str

    async def observe(self) -> GatewayFacts:
        """What it runs with, and whether the file that its restart reads says the same."""

    async def configure(self, table: Table) -> None:
        """Listeners, pools, registry: into the file, then a seamless reload. If it is refused, the old stays, in both.

        Endpoints (and their state) of pools that stay are kept; a new pool is empty.
        """

    async def change(self, changes: Sequence[PoolChange]) -> Mapping[PoolChange, str]:
        """Change endpoints at run time, without a reload, and in the file; the ones that could not be, with why.

        Done again, or found done, is done.
        """

    async def rewrite(self) -> None:
        """Write what runs into the file."""

    async def close(self) -> None:
        """Finish what is being written."""
