"""Building images."""

from __future__ import annotations

from bayplan.engines.client import Client
from bayplan.ports import BuildRequest, OnTransfer


async def build(client: Client, request: BuildRequest, on: OnTransfer) -> str:
    raise NotImplementedError
