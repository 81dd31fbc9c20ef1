"""An engine's words as ours."""

from __future__ import annotations

import pytest

from bayplan.engines.faults import not_begun, translated
from bayplan.errors import CommandError

_SHIM = "OCI runtime exec failed: exec failed: unable to start container process: "


@pytest.mark.parametrize(
    ("said", "told", "status"),
    [
        (
            f'{_SHIM}exec: "nosuch": executable file not found in $PATH: unknown\r\n',
            "the command nosuch is not in the image, or not in its PATH",
            127,
        ),
        (
            f'{_SHIM}exec: "/no/such": stat /no/such: no such file or directory: unknown\r\n',
            "the command /no/such is not in the image, or not in its PATH",
            127,
        ),
        (
            f'{_SHIM}exec: "/etc/passwd": permission denied: unknown\r\n',
            "the command /etc/passwd may not be executed in the container",
            126,
        ),
        (
            f'{_SHIM}chdir to cwd ("/nodir") set in config.json failed: no such file or directory: unknown\r\n',
            "the working directory /nodir cannot be entered: no such file or directory",
            126,
        ),
        (
            "unable to find user nobodyx: no matching entries in passwd file\r\n",
            "there is no user nobodyx in the container",
            126,
        ),
        (
            "OCI runtime exec failed: it is odd\r\n",
            "the command cannot be started: OCI runtime exec failed: it is odd",
            126,
        ),
    ],
)
def test_a_command_that_cannot_be_started(said: str, told: str, status: int) -> None:
    error = not_begun(said, "h1")
    assert (error.what, error.where, error.exit_status) == (told, "h1", status)


def test_a_user_that_no_image_has_is_the_commands_fault_also_where_a_container_is_to_start() -> None:
    error = translated(400, "unable to find user nobodyx: no matching entries in passwd file", "h1")
    assert isinstance(error, CommandError)
    assert error.exit_status == 126
