"""What `ps` shows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

from bayplan.cli.ps import STYLES
from bayplan.operate.status import InstanceState


def test_every_state_of_a_replica_can_be_shown() -> None:
    assert set(STYLES) == set(get_args(InstanceState))


# A fleet of which nothing is asked.
AS_JSON = """
import json, sys
from types import SimpleNamespace
from bayplan.cli import session
from bayplan.cli.ps import ps
session.read_name = lambda *_: ("shop", None)
session.on_fleet = lambda *_: SimpleNamespace(status={"app": "shop"}, unread="")
ps(json=True)
json.dump([name for name in sys.modules if name.partition(".")[0] == "rich"], sys.stderr)
"""


def test_what_is_for_programs_loads_nothing_that_draws() -> None:
    done = subprocess.run([sys.executable, "-c", AS_JSON], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"app": "shop"}
    assert json.loads(done.stderr) == []
