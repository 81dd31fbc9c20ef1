"""What the terminal gets when something is in the way of telling it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.markup import escape

from bayplan.cli.console import out, run, table, tell_error, told
from bayplan.errors import Mistake, RegistryError, SpecError


def test_what_others_say_moves_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A registry that is not the team's own says why it refuses; a release says who made it."""
    said = "denied\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b1A \x1b[31m[no]"
    tell_error(RegistryError(said, where=said, todo=said))
    rows = table("by")
    rows.add_row(escape(said))
    out().print(rows)
    told = capsys.readouterr()
    assert told.err.count("denied1A [no]") == 3
    assert "denied1A [no]" in told.out
    assert not [c for c in told.err + told.out if not c.isprintable() and c != "\n"]


def test_what_to_do_is_told_once_for_those_that_follow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    several = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "x"), ("e", ""), ("f", "")]
    tell_error(SpecError([Mistake(what, "f", line, todo=todo) for line, (what, todo) in enumerate(several, 1)]))
    lines = [line.removeprefix("✗ ").strip() for line in capsys.readouterr().err.splitlines()]
    assert lines == ["f:1: a", "f:2: b", "x", "f:3: c", "y", "f:4: d", "x", "f:5: e", "f:6: f"]


HANGING = """
import asyncio, sys
from bayplan.cli.console import run, told
async def hangs():
    try:
        print("begun", flush=True)
        await asyncio.sleep(1000)
    finally:
        print("puts in order", flush=True)
        if sys.argv[1] == "twice":
            await asyncio.sleep(1000)
sys.exit(told(lambda **_: run(hangs())))
"""


@pytest.mark.parametrize("times", ["once", "twice"])
def test_the_first_ctrl_c_is_waited_for_and_the_second_waits_for_nothing(times: str) -> None:
    argv = [sys.executable, "-c", HANGING, times]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "begun\n"
        running.send_signal(signal.SIGINT)
        assert running.stdout.readline() == "puts in order\n"
        if times == "twice":
            running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert ("interrupted at once" in running.stderr.read()) is (times == "twice")


def test_a_supervisor_that_asks_again_later_is_not_waited_for_either() -> None:
    later = "from bayplan.cli import console; console.TOGETHER = 0.0\n"
    argv = [sys.executable, "-c", later + HANGING, "twice"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "begun\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "puts in order\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 130
        assert "interrupted at once" in running.stderr.read()


@pytest.mark.parametrize("ignored", ["", "INT", "HUP"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_shell_ignores_keeps_no_other_signal_from_ending_it_in_order(
    ignored: str, number: signal.Signals
) -> None:
    """As a script's `bayplan … &` inherits it, and nohup's; each comes twice, as `timeout` and terminals send them."""
    argv = ["sh", "-c", f"trap '' {ignored or 'USR1'}; exec {sys.executable} -c '{HANGING}' once"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "begun\n"
        if ignored:
            running.send_signal(signal.Signals[f"SIG{ignored}"])
        if number.name == f"SIG{ignored}":
            running.send_signal(signal.SIGTERM)
        running.send_signal(number)
        running.send_signal(number)
        assert running.stdout.read() == "puts in order\n"
        assert running.wait(20) == 130


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_below_standard_output_is_told_in_a_sentence() -> None:
    """In a process of its own: what is left in the buffer must not fail at exit either."""
    code = "import sys; from bayplan.cli.console import show_json, told; sys.exit(told(lambda **_: show_json(['x'])or sys.stdout.flush()))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "✗ no space left on device\n")


def test_a_file_that_may_not_be_written_is_named(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def write(**_: object) -> None:
        (tmp_path / "none" / "file").write_text("")

    assert told(write) == 1
    assert "none/file: no such file or directory" in capfd.readouterr().err.replace("\n", "")


def test_a_standard_stream_that_was_closed_leads_nowhere() -> None:
    """As cron jobs and some supervisors start a program; `exec` and `run` ask whether there is a terminal."""
    code = (
        "import sys; from bayplan.cli.main import _with_streams; from bayplan.cli.options import terminal; "
        "_with_streams(); sys.exit(1 if terminal(False, False) else 0)"
    )
    command = f"exec {sys.executable} -c '{code}' <&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


def test_ctrl_c_while_it_is_still_being_loaded_is_no_traceback() -> None:
    code = """
import sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "bayplan.cli.main":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from bayplan.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [(["--version"], 0, "bayplan "), (["nosuch"], 2, ""), (["config", "-f", "nosuch.yaml"], 2, "")],
)
def test_a_process_that_ends_at_once_has_said_all_and_keeps_its_status(
    words: list[str], status: int, said: str
) -> None:
    done = subprocess.run([sys.executable, "-m", "bayplan", *words], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stdout.startswith(said)
    assert bool(done.stderr) == bool(status)


def test_what_asyncio_warns_of_its_own_children_is_told_to_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    """It does when one ends as its loop ends; what it says of errors is told."""

    async def warned() -> None:
        logging.getLogger("asyncio").warning("Unknown child process pid %d, will report returncode 255", 1)
        logging.getLogger("asyncio").error("Task exception was never retrieved")

    with console_logging():
        run(warned())
    assert capfd.readouterr().err == "Task exception was never retrieved\n"


@contextmanager
def console_logging() -> Iterator[None]:
    """As in a process of its own: nobody has set up logging, and what is logged goes to standard error."""
    logger, handler = logging.getLogger("asyncio"), logging.StreamHandler()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
def test_a_terminal_that_is_not_utf_8_gets_other_signs_and_no_traceback(encoding: str) -> None:
    """The fleet was changed, and the status said that it was not: it was told last, with a sign that GBK lacks."""
    code = """
import sys
from bayplan.cli.main import _with_streams
_with_streams()
print("\\u2713 web \\u2192 80\\u2026 \\U0001f6a2")
print("\\u2717 no", file=sys.stderr)
"""
    here = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=here, check=False)
    assert (done.returncode, done.stderr) == (0, b"x no\n")
    assert done.stdout.decode(encoding).strip() in ("* web -> 80... ?", "* web → 80… ?")
