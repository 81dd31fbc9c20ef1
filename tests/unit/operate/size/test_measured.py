"""From samples to what each service really needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests import given

from bayplan.errors import UsageError
from bayplan.operate.size.measured import Measured, kept, measured, over_day, usage_csv
from bayplan.ports import Sample
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.model import App, Resources, Usage
from bayplan.spec.usage import read_usage

MB = 1024**2
GB = 1024**3


class Kept:
    """Samples in memory."""

    def __init__(self, *cpus: float, memory: int = 100 * MB) -> None:
        self.samples = [Sample(float(i), "shop", "web", "web-1", "h1", c, memory) for i, c in enumerate(cpus)]

    async def add(self, samples: Sequence[Sample]) -> None:
        self.samples += samples

    async def since(self, app: str, start: float) -> tuple[Sample, ...]:
        return tuple(s for s in self.samples if s.app == app and s.time >= start)


def found(store: Kept, cpus: float = 0.0, memory: int = 0) -> Measured:
    web = given.service(resources=Resources(reserved_cpus=cpus, reserved_memory=memory))
    app = App(name="shop", services={"web": web})
    return measured(asyncio.run(kept(store, app, 0.0)), app)["web"]


def test_a_peak_of_cores_that_is_one_sample_of_twenty_does_not_count_and_memory_always_does() -> None:
    used = found(Kept(*[0.1] * 19, 3.0))
    assert (used.samples, used.cpus, used.memory) == (20, 0.1, 100 * MB)
    assert (used.suggested_cpus, used.suggested_memory) == (0.12, 120 * MB)


@pytest.mark.parametrize(
    ("cpus", "memory", "verdict"),
    [
        (0.2, 150 * MB, "fits"),
        (1.0, 150 * MB, "too much"),
        (0.2, 1000 * MB, "too much"),
        (0.05, 150 * MB, "too little"),
        (0.2, 50 * MB, "too little"),
        (0.0, 0, "nothing reserved"),
    ],
)
def test_how_far_off_a_reservation_is(cpus: float, memory: int, verdict: str) -> None:
    assert found(Kept(0.1), cpus, memory).verdict == verdict


def test_nothing_measured_is_told() -> None:
    with pytest.raises(UsageError, match="nothing was measured of shop"):
        found(Kept())


def test_each_hour_of_the_day_counts_for_itself_and_one_without_samples_as_the_whole() -> None:
    store = Kept(*[0.1] * 40, memory=100 * MB)
    store.samples += [replace(one, time=one.time + 3600, cpus=0.5, memory=GB) for one in store.samples]
    app = App(name="shop", services={"web": given.service(), "api": given.service("api")})
    usage = over_day(asyncio.run(kept(store, app, 0.0)), app)
    assert list(usage) == ["shop/web"]
    assert usage["shop/web"].cpus == (0.1, *[0.5] * 23)
    assert usage["shop/web"].memory == (100.0 * MB, *[float(GB)] * 23)


def test_what_is_written_is_what_the_fleet_file_reads(tmp_path: Path) -> None:
    usage = {"shop/web": Usage(cpus=(0.25,) * 24, memory=(float(GB),) * 24)}
    (tmp_path / "usage.csv").write_text(usage_csv(usage))
    mistakes = Mistakes()
    assert read_usage(tmp_path / "usage.csv", mistakes) == usage
    mistakes.raise_any()
