"""Figures say met or missed by what was measured."""

from bench.metrics import Figure, Runs, seconds


def test_a_ratio_is_of_medians() -> None:
    figure = Figure("scale", seconds("ours", [1.0, 9.0, 2.0]), 1.15, seconds("bare", [2.0, 1.0, 8.0]))
    assert figure.ratio == 1.0
    assert figure.verdict == "met"


def test_slower_than_allowed_is_missed() -> None:
    figure = Figure("scale", seconds("ours", [2.4]), 1.15, seconds("bare", [2.0]))
    assert figure.verdict == "missed"
    assert figure.target == "≤ 1.15 x bare"


def test_less_than_asked_is_missed() -> None:
    ours, theirs = Runs("ours", "requests/s", (94.0,)), Runs("theirs", "requests/s", (100.0,))
    assert Figure("throughput", ours, 0.95, theirs, at_most=False).verdict == "missed"
    assert Figure("throughput", ours, 0.94, theirs, at_most=False).verdict == "met"


def test_without_a_reference_the_median_counts() -> None:
    assert Figure("ps", seconds("ps", [0.1, 0.5, 0.9]), 0.6).verdict == "met"
    assert Figure("removal", Runs("failed", "", (1.0,)), 0).verdict == "missed"
    assert Figure("release", seconds("told only", [99.0])).verdict == "-"
