"""The terminal: colour as it allows, errors in one voice, exit statuses as in DESIGN.md."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

    from bayplan.cli.listing import Listing
    from bayplan.errors import Mistake

INTERRUPTED = 130
NEVER_WRAPPED = 10_000  # columns of what is no terminal: its lines are for programs
TOGETHER = 1.0  # seconds within which two SIGTERM are one
T = TypeVar("T")


def told(app: Callable[..., Any]) -> int:
    """Run the command line; tell any error of ours in a sentence; the exit status."""
    from typer import Abort
    from typer.exceptions import TyperException

    from bayplan.errors import BayplanError, UsageError, in_words

    try:
        ended = app(prog_name="bayplan", standalone_mode=False)
        return ended if isinstance(ended, int) else 0  # the status of a typer.Exit
    except TyperException as wrong:
        from bayplan.cli.usage import usage_error

        tell_error(usage_error(wrong))
        return UsageError.exit_status
    except Abort:  # a question that was answered by Ctrl-C
        return INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except BayplanError as error:
        tell_error(error)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _say_no_more()
        return 1
    except OSError as error:  # a full disk below standard output, a file that may not be written
        _say_no_more()
        where = str(error.filename or "")
        tell_error(BayplanError(in_words(error), where=where))
        return 1
    return 0


def _say_no_more() -> None:
    """What is still buffered for a standard output that takes no more goes nowhere, and fails nobody at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def out() -> Console:
    """Standard output: what was asked for."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error: progress, and what went wrong."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from bayplan.cli.screen import Screen

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else NEVER_WRAPPED
    return Screen(file=stream, highlight=False, width=wide, soft_wrap=not stream.isatty())


def table(*columns: str, right: Collection[str] = (), indent: int = 0, among: Sequence[Sequence[str]] = ()) -> Listing:
    """A line below its head, and no other; see Listing."""
    from bayplan.cli.listing import Listing

    return Listing(columns, right, indent, among)


def tell_warning(warning: Mistake) -> None:
    """What may well be meant: in plain words, as most files have none and the terminal's library is slow to load."""
    sys.stderr.write(f"warning: {warning.where}: {warning.what}\n")


def waited_for(host: str) -> str:
    """What is told of a host whose answer takes long."""
    return f"waits for {host}, which does not answer yet"


def tell_error(error: Exception) -> None:
    """What, where, what to do: once where the same is to be done for several that follow each other."""
    from itertools import zip_longest

    from rich.markup import escape

    from bayplan.errors import BayplanError, SpecError

    console = err()
    if isinstance(error, SpecError):
        for mistake, after in zip_longest(error.mistakes, error.mistakes[1:]):
            console.print(f"[bold red]✗[/] [bold]{escape(mistake.where)}[/]: {escape(mistake.what)}", soft_wrap=True)
            if mistake.todo and (after is None or after.todo != mistake.todo):
                console.print(f"  [dim]{escape(mistake.todo)}[/]", soft_wrap=True)
    elif isinstance(error, BayplanError):
        where = f"[bold]{escape(error.where)}[/]: " if error.where else ""
        console.print(f"[bold red]✗[/] {where}{escape(error.what)}", soft_wrap=True)
        if error.todo:
            console.print(f"  {escape(error.todo)}", soft_wrap=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    """An operation to its end; Ctrl-C, SIGTERM and SIGHUP cancel it in order; what asks again ends it at once."""
    import asyncio
    import gc
    import logging
    import signal

    # A child that ends while its loop does is waited for twice, and asyncio warns that it does not know it.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    gc.freeze()  # what was made until here stays
    gc.set_threshold(100_000, 20, 20)
    gc.enable()
    with asyncio.Runner() as runner:
        after: Any = signal.default_int_handler
        try:
            return runner.run(_interruptible(work))
        except asyncio.CancelledError:
            after = signal.SIG_IGN  # it ends, and says so with its status
            raise KeyboardInterrupt from None
        finally:
            for number in _heeded():
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else after)


def _heeded() -> list[int]:
    """The signals that end an operation. A shell ignores Ctrl-C for what it began with `&`, and nohup a terminal that
    hangs up; SIGTERM is for this process alone.
    """
    import signal

    ignorable = (signal.SIGINT, signal.SIGHUP)
    return [signal.SIGTERM, *(n for n in ignorable if signal.getsignal(n) is not signal.SIG_IGN)]


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """The first signal cancels, and what was begun is put in order. One that asks again waits for nothing: what is
    killed, at whatever moment, leaves nothing that the next run does not mend. Some come twice by themselves: `timeout`
    sends SIGTERM to its child and to its group, a terminal that closes hangs up its shell and then its jobs.
    """
    import asyncio
    import signal
    import time

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked: float | None = None

    def interrupted(number: int, _: Any) -> None:
        nonlocal asked
        if asked is None:
            asked = time.monotonic()
            if task is not None:
                task.cancel()
        elif number == signal.SIGINT or (number == signal.SIGTERM and time.monotonic() - asked > TOGETHER):
            _leave()

    # One that comes as the loop goes to sleep must wake it: Python calls its handler only then (as add_signal_handler).
    signal.set_wakeup_fd(loop._csock.fileno(), warn_on_full_buffer=False)  # type: ignore[attr-defined]  # noqa: SLF001
    for number in _heeded():
        signal.signal(number, interrupted)
    try:
        return await work
    finally:
        signal.set_wakeup_fd(-1)


def _leave() -> NoReturn:
    """At once. A terminal gets its cursor back."""
    end = "\x1b[?25h\n" if os.isatty(2) else ""
    with suppress(OSError):
        os.write(
            2, f"{end}interrupted at once; what was being changed, the next bayplan up finishes or undoes\n".encode()
        )
    os._exit(INTERRUPTED)


def show_json(value: object) -> None:
    """As JSON on standard output; each dataclass in it as an object."""
    import json

    sys.stdout.write(json.dumps(value, indent=2, default=asdict) + "\n")
