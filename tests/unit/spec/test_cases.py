"""Files that are wrong: tests/cases/spec holds one a kind, with what is told beside the line that it is told of.

`#! what | what to do` after a line is a mistake of that line; more of them follow each other. No other may be told.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bayplan.spec import load_app, load_fleet, local_fleet

CASES = Path(__file__).parents[2] / "cases" / "spec"


def expected(text: str) -> list[str]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        found += [f"{number}: {mistake.strip()}" for mistake in line.split("#!")[1:]]
    return found


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_case(case: Path, folder) -> None:
    text = case.read_bytes()
    name = "fleet.yaml" if case.name.startswith("fleet-") else "compose.yaml"
    path = folder.write(name, text)
    wanted = expected(text.decode("utf-8-sig", "replace"))
    assert wanted, "a case says what it expects"

    def read() -> object:
        if name == "fleet.yaml":
            return load_fleet(path, {})
        return load_app([path], project=None, environment={"SET": "x", "EMPTY": ""}, fleet=local_fleet({}))

    assert folder.mistakes(read) == wanted
