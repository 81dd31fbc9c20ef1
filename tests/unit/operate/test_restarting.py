"""A gateway whose port something else had first, after its host was rebooted: it ends as soon as it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.given import fleet, up
from tests.unit.operate.test_halt import World

from bayplan.errors import GatewayError
from bayplan.facts import Facts, HostFacts, SystemContainer
from bayplan.operate.bring import _tell_restarting
from bayplan.operate.doctor.system import system_findings
from bayplan.operate.events import Event, Note
from bayplan.operate.restarting import reason
from bayplan.plan.plan import system_plan
from bayplan.ports import LogLine
from bayplan.spec.model import Registry

NO_PORT = """\
[NOTICE]   (24) : haproxy version is 3.0.11
[ALERT]    (24) : config : an earlier start
[NOTICE]   (25) : haproxy version is 3.0.11
[NOTICE]   (25) : path to executable is /usr/local/sbin/haproxy
[ALERT]    (25) : Binding for frontend listener:0.0.0.0:80: cannot bind socket (Address already in use).
[ALERT]    (25) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.
"""
TOLD = (
    "ends as soon as it starts: Binding for frontend listener:0.0.0.0:80: cannot bind socket (Address already in use)"
)
RESTARTS = SystemContainer("1", "gateway", "", "restarting")


class Engine:
    """One that has nothing but a log."""

    async def logs(self, name: str, *, tail: int) -> AsyncIterator[LogLine]:
        assert name == "bayplan-gateway-t"
        for text in NO_PORT.splitlines()[-tail:]:
            yield LogLine("stderr", "", text)


def test_the_first_grave_line_of_the_last_start_is_the_reason() -> None:
    assert reason(NO_PORT.splitlines()) == TOLD.partition(": ")[2]
    assert reason(["fatal: no space left on device", ""]) == "fatal: no space left on device"
    assert reason([]) == ""


def host_with_it(name: str = "h1") -> HostFacts:
    return HostFacts(name, reachable=True, engine=replace(up(name).engine, system=(RESTARTS,)))


def test_up_tells_at_once_where_to_look() -> None:
    waits = [w.why for w in system_plan(fleet("h1"), Facts({"h1": host_with_it()})).waiting]
    assert waits == ["ends as soon as it starts: docker logs bayplan-gateway-t on h1 says why"]


@pytest.mark.parametrize("host", ["h1", "h2"])
def test_up_does_not_go_on_to_a_registry_that_cannot_be_reached(host: str) -> None:
    """It said that the registry does not answer, and that up starts it. Without h2's gateway the others go on."""
    told: list[Event] = []

    async def story() -> None:
        on = fleet("h1", "h2", registry=Registry(host="h1"))
        ports = replace(World().ports, fleet=on, engines={host: Engine()})  # type: ignore[dict-item]
        await _tell_restarting(ports, Facts({host: host_with_it(host)}), told.append)

    if host == "h1":
        with pytest.raises(GatewayError, match=r"cannot bind socket .* no other way leads to the registry"):
            asyncio.run(story())
    else:
        asyncio.run(story())
        (note,) = told
        assert isinstance(note, Note)
        assert TOLD in note.text


def test_doctor_tells_why_and_does_not_say_that_up_starts_it() -> None:
    async def story() -> None:
        ports = replace(World().ports, engines={"h1": Engine()})  # type: ignore[dict-item]
        gateway = (await system_findings(ports, host_with_it()))[0]
        assert gateway.level == "fail"
        assert TOLD in gateway.what
        assert "docker rm -f bayplan-gateway-t there, and bayplan up makes it anew" in gateway.todo

    asyncio.run(story())
