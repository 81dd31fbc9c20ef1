"""Where the values of secrets and configs come from when they are put into a host's memory. They are in no step."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from bayplan.container import File
from bayplan.errors import BayplanError, EngineError, NotFoundError
from bayplan.plan.names import run_directory, system_name
from bayplan.plan.steps import Deliver, Item
from bayplan.ports import FleetPorts
from bayplan.spec.storage import Config

_IN_MEMORY = ("tmpfs", "ramfs")


class Vault:
    """secrets: the values that this operator has, by key; others are asked of hosts that have them in memory."""

    def __init__(self, secrets: Mapping[str, bytes], configs: Mapping[str, Config]) -> None:
        self._secrets, self._configs = secrets, configs

    async def deliver(self, step: Deliver, ports: FleetPorts) -> None:
        """Write the step's files through the host's gateway, which has that directory.

        Raises EngineError where it is on a disk, NotFoundError for a secret that nobody has any more.
        """
        engine, gateway = ports.engines[step.host], system_name("gateway", ports.fleet.name)
        run = run_directory(ports.fleet.name)
        told = await engine.exec(gateway, ("stat", "-f", "-c", "%T", run))
        kind = told.output.decode(errors="replace").strip()
        if kind not in _IN_MEMORY:
            raise EngineError(
                f"{run} is not in memory but on {kind or 'something unknown'}, and secrets are kept on no disk",
                where=step.host,
                todo="mount a tmpfs at /run, as systemd does",
            )
        files = [File(i.path, await self._content(i, step.host, ports), i.mode, i.uid, i.gid) for i in step.items]
        await engine.lay(gateway, files)

    async def _content(self, item: Item, host: str, ports: FleetPorts) -> bytes:
        if item.kind == "config":
            config = self._configs[item.source]
            return config.content.encode() if config.encoding == "utf-8" else base64.b64decode(config.content)
        if item.source in self._secrets:
            return self._secrets[item.source]
        gateway = system_name("gateway", ports.fleet.name)
        for engine in ports.engines.values():
            try:
                return await engine.read_file(gateway, item.path)
            except BayplanError:
                continue
        raise NotFoundError(
            f"the value of the secret {item.source} is not known: no host has it in memory",
            where=host,
            todo="bayplan up, where the file or the variable of the secret is",
        )
