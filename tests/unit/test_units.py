from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayplan.units import parse_api, parse_bytes, parse_cpus, parse_duration, parse_percent, show_bytes, show_seconds


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        (1024, 1024),
        ("2b", 2),
        ("1k", 1024),
        ("1kb", 1024),
        ("512M", 512 << 20),
        ("1.5g", 3 << 29),
        ("1GiB", 1 << 30),
        ("2T", 2 << 40),
    ],
)
def test_bytes(text: str | int, amount: int) -> None:
    assert parse_bytes(text) == amount


def test_versions_are_no_decimals() -> None:
    assert parse_api("1.9") < parse_api("1.41") < parse_api("1.100")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1d", 86400), ("0", 0), (0, 0), ("100us", 1e-4), ("0s", 0)),
        *((".5s1.m", 60.5), ("10µs5ns", 1.0005e-5), ("2w", 1209600)),  # as Compose has them, too
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["10", 10, 2.5, "1m30"])
def test_a_duration_has_a_unit(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("parse", [parse_bytes, parse_cpus, parse_duration, parse_percent])
@pytest.mark.parametrize("text", ["", "x", "-1", "1 2", "nan", "inf", "1m 30", "5x", "--"])
def test_what_is_no_quantity(parse, text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a"):
        parse(text)


@pytest.mark.parametrize("parse", [parse_bytes, parse_cpus, parse_duration, parse_percent])
@given(text=st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_value_error(parse, text: str) -> None:
    try:
        assert parse(text) >= 0
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017  either outcome is right


@given(st.integers(0, 1 << 50), st.sampled_from(["", "k", "M", "g"]))
def test_bytes_scale_by_1024(amount: int, unit: str) -> None:
    assert parse_bytes(f"{amount}{unit}") == pytest.approx(amount * 1024 ** " kmg".index(unit.lower() or " "))


@given(st.floats(0, 1e15))
def test_shown_quantities_are_short(amount: float) -> None:
    assert len(show_bytes(amount)) <= 8
    assert len(show_seconds(min(amount, 1e9))) <= 8
