"""Doing one step: which port's method it is. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bayplan.converge import hooks
from bayplan.converge.vault import Vault
from bayplan.errors import BayplanError, GatewayError
from bayplan.plan.steps import (
    Configure,
    Deliver,
    Network,
    PoolChange,
    Pull,
    Remove,
    Rename,
    Rewrite,
    Run,
    Start,
    Step,
    Stop,
    System,
)
from bayplan.ports import Credentials, Engine, FleetPorts, Gateway, OnTransfer
from bayplan.spec.image_name import is_at

Started = Callable[[str], None]  # told the id of a new container


async def apply(
    step: Step, ports: FleetPorts, on: OnTransfer, started: Started, login: Credentials | None, vault: Vault
) -> None:
    """Do one step that is not a PoolChange. Done again, or found done, is done."""
    if isinstance(step, Configure | Rewrite):
        await _gateway(step, ports.gateways[step.host])
    elif isinstance(step, Deliver):
        await vault.deliver(step, ports)
    else:
        await _engine(step, ports.engines[step.host], on, started, login)


async def _engine(step: Step, engine: Engine, on: OnTransfer, started: Started, login: Credentials | None) -> None:
    match step:
        case Network():
            await engine.ensure_network(step.name, step.bridge, step.labels)
        case System():
            await _replace(step, engine)
        case Rename():
            await engine.rename(step.name, step.to)
        case Pull():
            await engine.pull(step.image, on, _login_for(step.image, login))
        case Run():
            started(await engine.run(step.container))
            await hooks.after_start(engine, step.container.name, step.container.labels)
        case Start():
            if step.restart:
                await engine.set_restart(step.replica, step.restart)
            await hooks.again(engine, step.replica)
        case Stop():
            await hooks.before_stop(engine, step.replica)
            await engine.stop(step.replica, step.grace)
        case Remove():
            await hooks.before_stop(engine, step.replica)
            await engine.remove(step.replica, step.grace)
        case _:
            raise AssertionError


async def _replace(step: System, engine: Engine) -> None:
    if step.aside:
        await engine.rename(step.container.name, step.aside)
    else:
        await engine.remove(step.container.name, 0)
    await engine.run(step.container)


def _login_for(image: str, login: Credentials | None) -> Credentials | None:
    """A password goes to its own registry only."""
    return login if login is not None and is_at(image, login.server) else None


async def _gateway(step: Configure | Rewrite, gateway: Gateway) -> None:
    if isinstance(step, Configure):
        await gateway.configure(step.table)
    else:
        await gateway.rewrite()


async def change_pools(changes: Sequence[PoolChange], ports: FleetPorts) -> dict[PoolChange, BayplanError | None]:
    """One gateway's changes of a pass at once; what became of each."""
    host = changes[0].host
    try:
        failed = await ports.gateways[host].change(changes)
    except BayplanError as error:
        return dict.fromkeys(changes, error)
    return {c: GatewayError(failed[c], where=host) if c in failed else None for c in changes}
