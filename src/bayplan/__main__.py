"""The console script, and `python -m bayplan`: Ctrl-C is no traceback, also while it is still being loaded."""

from __future__ import annotations

import atexit
import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Load the command line, which takes the longest part of a short command, and run it."""
    status = 1

    def leave() -> None:
        """What Python would do yet is free all memory, object by object: a sixth of a short command's time."""
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:  # closed when we were started
                    stream.flush()
        except (OSError, ValueError):
            return  # Python says what it makes of that
        os._exit(status)

    atexit.register(leave)  # first, and so done last: when threads have ended, and all that others have registered
    try:
        from bayplan.cli.main import main as run

        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    except KeyboardInterrupt:
        status = INTERRUPTED
        sys.exit(status)


if __name__ == "__main__":
    main()
