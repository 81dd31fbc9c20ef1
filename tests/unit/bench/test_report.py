"""The page tells what was missed, and nothing of the place that it was written in."""

from pathlib import Path

from bench.metrics import Figure, count, seconds
from bench.report import page, table

FIGURES = [
    Figure("scale", seconds("scale", [3.0, 3.2]), 1.15, seconds("bare Engine API", [2.0, 2.0])),
    Figure("removal", count("failed", [0]), 0),
]


def test_a_missed_target_is_said_plainly() -> None:
    text = page(FIGURES, {"kernel": "6.1"}, "make bench", "a day")
    assert "**Missed:** scale: 1.55 x, target ≤ 1.15 x bare Engine API" in text
    assert "| failed | 0 | - | - | ≤ 0 | met |" in table(FIGURES)


def test_no_path_of_the_machine() -> None:
    text = page(FIGURES, {"kernel": "6.1"}, "make bench", "a day")
    assert str(Path(__file__).parents[3]) not in text
