"""Where a password comes from, and that it goes nowhere else."""

from __future__ import annotations

import asyncio
import os
import select
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bayplan.errors import RegistryError
from bayplan.images.login import Login
from bayplan.images.registry import HttpRegistry


def test_the_first_line_is_the_password() -> None:
    given = Login("there", "ann", r"printf 'one two\r\nurl: x\n'").credentials
    assert (given.server, given.username, given.password) == ("there", "ann", "one two")


def test_it_is_run_once(tmp_path: Path) -> None:
    login = Login("there", "ann", f"echo x >> {tmp_path}/runs; echo y")
    assert login.credentials is login.credentials
    assert (tmp_path / "runs").read_text() == "x\n"


def test_it_is_not_run_before_it_is_needed(tmp_path: Path) -> None:
    Login("there", "ann", f"touch {tmp_path}/ran")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 3", "status 3"),
        ("true", "printed nothing"),
        ("hunter2", "not there"),
        ("echo hunter2; exit 1", "status 1"),
        ("echo hunter2 >&2; exit 1", "status 1"),
        ("read hunter2 < /dev/tty", "status"),
        ("read hunter2", "status 1"),
    ],
)
def test_how_it_failed_is_told_and_nothing_that_might_be_the_password(command: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said) as told:
        _ = Login("there", "ann", command).credentials
    assert "hunter2" not in str(told.value)
    assert told.value.where == "there"


def test_one_that_waits_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayplan.images.login._DEADLINE", 0.1)
    with pytest.raises(RegistryError, match=r"did not end within 0\.1 s"):
        _ = Login("there", "ann", "exec sleep 60").credentials


def test_one_that_is_given_up_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It holds the other end of a pipe: nobody does when all of it is gone."""
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr("bayplan.images.login._DEADLINE", 0.5)
    with pytest.raises(RegistryError, match="did not end"):
        _ = Login("there", "ann", f"sh -c 'exec sleep 5 > {tmp_path}/pipe'; true").credentials
    assert select.select([reading], [], [], 2)[0]
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_however_many_ask_at_a_time_it_is_run_once(tmp_path: Path) -> None:
    """The newest release is read while others ask for what engines need: a key that is touched was to be touched twice."""
    login = Login("there", "ann", f"echo x >> {tmp_path}/runs; sleep 0.2; echo y")
    with ThreadPoolExecutor() as threads:
        assert len({id(c) for c in threads.map(lambda _: login.credentials, range(3))}) == 1
    assert (tmp_path / "runs").read_text() == "x\n"


async def test_what_ends_does_not_wait_for_it(tmp_path: Path) -> None:
    """A lock that another has was told at once, and `up` ended half a minute later."""
    os.mkfifo(tmp_path / "begun")
    login = Login("there", "ann", f"echo > {tmp_path}/begun; sleep 60")
    registry = HttpRegistry("there/shop", login=login)
    asking = asyncio.create_task(asyncio.to_thread(lambda: login.credentials))
    await asyncio.to_thread((tmp_path / "begun").read_text)
    await registry.close()
    async with asyncio.timeout(5):
        with pytest.raises(RegistryError, match="ended with status"):
            await asking


def test_a_password_is_not_in_what_is_printed_of_it() -> None:
    assert "hunter2" not in repr(Login("there", "ann", "echo hunter2").credentials)
