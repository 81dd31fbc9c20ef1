"""How lines are shown."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from bayplan.cli.logs import Printer, _while_read, as_json, colour_of, label
from bayplan.facts import Replica
from bayplan.operate.logs import Line, Notice


def replica(service: str, slot: int, host: str = "h1", release: int = 1) -> Replica:
    name = f"a-{service}-{slot}-r{release}"
    return Replica("id", name, host, "a", service, slot, release, "spec", "running")


def line(text: str, stream: str = "stdout", **of: object) -> Line:
    return Line(replica(**{"service": "web", "slot": 3} | of), stream, "2026-11-05T10:00:00Z", text)  # type: ignore[arg-type]


def test_bars_stand_in_one_column_and_tell_the_streams_apart(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(colour=False)([line("a"), line("b", "stderr", service="longer", slot=12)])
    assert capsys.readouterr().out == "web-3 h1     │ a\nlonger-12 h1 ┃ b\n"


def test_without_prefix_and_with_times(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(colour=True, timestamps=True, prefix=False)([line("a")])
    assert capsys.readouterr().out == "2026-11-05T10:00:00Z a\n"


def test_colours_are_a_slot_s_whatever_its_release_and_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert colour_of(replica("web", 3)) == colour_of(replica("web", 3, "h2", 9))
    assert colour_of(replica("web", 3)) != colour_of(replica("web", 4))
    Printer(colour=True)([line("a", "stderr")])
    assert capsys.readouterr().out.count("\x1b") == 3  # the slot's colour, the bar's, and their end


def test_notices_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(colour=True)([Notice("h2", "does not answer")])
    assert capsys.readouterr() == ("", "! h2: does not answer\n")


def test_a_line_as_json() -> None:
    assert as_json(line("a", host="h2", release=7)) == {
        "time": "2026-11-05T10:00:00Z", "service": "web", "replica": "a-web-3-r7", "slot": 3, "release": 7,
        "host": "h2", "stream": "stdout", "text": "a",
    }  # fmt: skip
    assert as_json(Notice("h2", "gone")) == {"host": "h2", "notice": "gone"}
    assert label(replica("web", 3, "h2")) == "web-3 h2"


def test_following_ends_when_nobody_reads_though_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`logs -f | head -1`: head has its line and is gone; a quiet app would keep us for ever."""
    reader, writer = os.pipe()

    async def goes_on() -> None:
        asyncio.get_running_loop().call_later(0.05, os.close, reader)
        await asyncio.sleep(60)

    with os.fdopen(writer, "w") as pipe, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", pipe)
        with pytest.raises(BrokenPipeError):
            asyncio.run(asyncio.wait_for(_while_read(goes_on()), 10))


def test_a_colour_that_a_program_does_not_end_stays_in_its_line() -> None:
    shown = Printer(colour=True).line(line("\x1b[1;31mred"))
    assert shown.endswith(" \x1b[1;31mred\x1b[0m\n")
    assert Printer(colour=False).line(line("\x1b[31mred")).endswith(" \x1b[31mred\n")
