"""Each supported key that concerns a container is looked for in a real one, or is named with the test that sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.contract.keys import ELSEWHERE, ROWS

from bayplan.spec.shapes import FileModel
from bayplan.spec.unsupported import NEVER, NOT_YET
from bayplan.spec.written import deploy, health, ports, runtime, service, storage

ROOT = Path(__file__).parents[3]
# What stands under a service and reaches the engine, by its prefix in the table.
MAPS: Final[tuple[tuple[str, type[FileModel]], ...]] = (
    ("", service.ServiceFile),
    ("blkio_config.", runtime.BlkioFile),
    ("deploy.resources.limits.", deploy.LimitsFile),
    ("deploy.resources.reservations.", deploy.ReservationsFile),
    ("deploy.restart_policy.", deploy.RestartPolicyFile),
    ("devices[].", runtime.DeviceFile),
    ("env_file[].", service.EnvFile),
    ("healthcheck.", health.HealthcheckFile),
    ("logging.", runtime.LoggingFile),
    ("ports[].", ports.PortFile),
    ("ulimits[].", runtime.UlimitFile),
    ("volumes[].", storage.MountFile),
    ("volumes[].bind.", storage.BindFile),
    ("volumes[].tmpfs.", storage.TmpfsFile),
    ("volumes[].volume.", storage.VolumeOptionsFile),
)
NOT_RUN: Final = {"volumes[].image"}  # spec/pending.py


def supported() -> Iterator[str]:
    """The keys, those with a table of their own left to it."""
    whole = {prefix.rstrip(".").removesuffix("[]") for prefix, _ in MAPS}
    for prefix, model in MAPS:
        refused = {*NOT_YET.get(model.__name__, {}), *NEVER.get(model.__name__, {})}
        for name, field in model.model_fields.items():
            key = f"{prefix}{field.alias or name}"
            if (field.alias or name) not in refused and (key not in whole or key in seen()):
                yield key


def seen() -> set[str]:
    return {key for row in ROWS for key in row.keys.split()}


def test_every_supported_key_is_seen_somewhere() -> None:
    assert set(supported()) - seen() - set(ELSEWHERE) == NOT_RUN


def test_the_table_has_no_key_that_nobody_can_write() -> None:
    written = {*supported(), "deploy.mode", "devices", "env_file", "volumes", "ulimits", "ports", "deploy"}
    assert (seen() | set(ELSEWHERE)) - written == set()
    assert seen() & set(ELSEWHERE) == set()


@pytest.mark.parametrize("key", sorted(ELSEWHERE))
def test_the_test_that_is_named_is_there(key: str) -> None:
    file, _, name = ELSEWHERE[key].partition("::")
    text = (ROOT / file).read_text()
    assert f"def {name}(" in text if name else "def test_" in text
