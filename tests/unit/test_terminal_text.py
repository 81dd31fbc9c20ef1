"""What builds and programs write for terminals, where there is none."""

from __future__ import annotations

from collections import deque

import pytest

from bayplan.engines.build import _tell
from bayplan.ports import Transfer
from bayplan.terminal_text import left_on_screen, plain


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Step 1/8 : FROM debian\n", ["Step 1/8 : FROM debian"]),
        ("\x1b[91mdebconf: delaying package configuration\n\x1b[0m", ["debconf: delaying package configuration"]),
        ("(Reading database ... \r", []),
        ("50%\r100%\ndone\r\n", ["100%", "done"]),
        ("\x1b]0;title\x07npm \x1b[1mWARN\x1b[22m\told\n", ["npm WARN\told"]),
        ("\x1b(Bplain \x1b[?25l\u2713\x07", ["plain \u2713"]),
    ],
)
def test_what_is_left_on_the_screen(text: str, left: list[str]) -> None:
    assert list(left_on_screen(text)) == left


def test_one_line_without_colours() -> None:
    assert plain("\x1b[31mno\x1b[0m\x00") == "no"
    assert plain("n\x9b2Jo\x85") == "n2Jo"


def test_a_build_s_colours_and_progress_bars_are_left_out() -> None:
    said, told = deque[str](), list[Transfer]()
    for text in ("(Reading database ... 5%\r", "\x1b[91mdebconf: no terminal\n", "\x1b[0m"):
        _tell({"stream": text}, told.append, said)
    assert [t.text for t in told] == list(said) == ["debconf: no terminal"]
