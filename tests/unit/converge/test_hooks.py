"""post_start and pre_stop: run in the replica, whoever starts or stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests import given
from tests.memory_fleet import MemoryFleet

from bayplan.container import Container
from bayplan.converge import hooks
from bayplan.converge.apply import apply
from bayplan.converge.vault import Vault
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_container import Program
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import DeadlineError, EngineError
from bayplan.plan.replica import definition, replica_container
from bayplan.plan.steps import Start
from bayplan.ports import ExecResult, FleetPorts
from bayplan.spec.model import Hook

WARM, TELL, BYE = Hook(command=("warm", "--all")), Hook(command=("tell",)), Hook(command=("bye",), user="root")
NAME = "shop-web-1-r1"


def made() -> Container:
    service = given.service(ports=(), post_start=(WARM, TELL), pre_stop=(BYE,), networks={})
    on = given.fleet("h1")
    return replica_container(given.goal(on, service), service, 1, on.hosts["h1"], (), definition(service))


def engine(answer: Callable[[Sequence[str]], int]) -> tuple[MemoryEngine, list[str]]:
    ran: list[str] = []

    def on_exec(argv: Sequence[str]) -> ExecResult:
        ran.append(argv[0])
        return ExecResult(answer(argv), b"no such cache")

    return MemoryEngine("h1", MemoryHub(given.IMAGE), programs=lambda _: Program(on_exec=on_exec)), ran


def ports(there: MemoryEngine) -> FleetPorts:
    return replace(MemoryFleet(given.fleet("h1")).ports, engines={"h1": there})


async def started(there: MemoryEngine) -> Container:
    container = made()
    await there.ensure_network(container.network, "bp", {})
    await there.pull(given.IMAGE, lambda _: None)
    await there.run(container)
    return container


async def test_they_run_in_their_order_after_the_start_and_before_the_stop() -> None:
    there, ran = engine(lambda _: 0)
    container = await started(there)
    await hooks.after_start(there, NAME, container.labels)
    assert ran == ["warm", "tell"]
    await hooks.before_stop(there, NAME)
    assert ran == ["warm", "tell", "bye"]
    await there.stop(NAME, 0)
    await hooks.before_stop(there, NAME)
    assert ran == ["warm", "tell", "bye"], "it does not run"
    await hooks.again(there, NAME)
    assert ran[3:] == ["warm", "tell"]


async def test_one_that_was_paused_goes_on_and_has_been_started_before() -> None:
    there, ran = engine(lambda _: 1)
    await started(there)
    await there.pause(NAME)
    await apply(
        Start("h1", "web", NAME, "was stopped"), ports(there), lambda _: None, lambda _: None, None, Vault({}, {})
    )
    assert ran == []
    assert (await there.inspect(NAME))["State"]["Running"]


async def test_one_that_fails_after_the_start_stops_the_replica_and_is_told() -> None:
    there, ran = engine(lambda argv: int(argv[0] == "warm"))
    container = await started(there)
    with pytest.raises(EngineError, match=r"post_start failed in .*: warm --all ended with status 1: no such cache"):
        await hooks.after_start(there, NAME, container.labels)
    assert ran == ["warm"]
    assert not (await there.inspect(NAME))["State"]["Running"]


async def test_one_that_fails_before_the_stop_keeps_nobody_from_stopping() -> None:
    there, ran = engine(lambda _: 1)
    await started(there)
    await hooks.before_stop(there, NAME)
    assert ran == ["bye"]
    await hooks.before_stop(there, "nobody")


async def test_one_that_does_not_end_keeps_nobody_from_stopping_and_stops_what_it_was_to_start() -> None:
    """It has its deadline; the engine would wait for it without end."""

    def hangs(argv: Sequence[str]) -> int:
        raise DeadlineError(f"'{argv[0]}' in {NAME} did not end within 600 s", where="h1")

    there, ran = engine(hangs)
    container = await started(there)
    await hooks.before_stop(there, NAME)
    assert ran == ["bye"]
    with pytest.raises(EngineError, match=r"post_start failed in .*: 'warm' in .* did not end within 600 s"):
        await hooks.after_start(there, NAME, container.labels)
    assert not (await there.inspect(NAME))["State"]["Running"]


def test_other_hooks_are_another_definition_and_none_are_none() -> None:
    plain = given.service()
    assert definition(plain) != definition(plain.model_copy(update={"post_start": (WARM,)}))
    assert definition(plain.model_copy(update={"pre_stop": (WARM,)})) != definition(
        plain.model_copy(update={"post_start": (WARM,)})
    )
