"""How far a copy is, where nobody looks on live."""

from __future__ import annotations

import pytest

from bayplan.cli import volume


@pytest.mark.parametrize("quiet", [False, True])
def test_without_a_terminal_a_line_is_told_now_and_then(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with volume._Bytes(quiet=quiet) as on:
        for second in range(13):
            now = 100.0 + second
            on("read", second << 20)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ([] if quiet else ["   5.0s  read: 5 MB so far", "  10.0s  read: 10 MB so far"])
