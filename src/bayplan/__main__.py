"""The console script, and `python -m bayplan`: Ctrl-C is no traceback, also while it is still being loaded."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Load the command line, which takes the longest part of a short command, and run it."""
    try:
        from bayplan.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
