"""`bayplan size` from its files to its figures, and the example."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bayplan.cli.main import app
from bayplan.errors import SpecError, UsageError

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "05-size"
FILES = [
    part for name in ("services", "hosts", "usage", "apart") for part in (f"--{name}", str(EXAMPLE / f"{name}.csv"))
]


def run(*options: str) -> str:
    result = CliRunner().invoke(app, ["size", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_example_is_packed_and_the_independent_checker_accepts_it(tmp_path: Path) -> None:
    placement, svg = tmp_path / "placement.csv", tmp_path / "size.svg"
    asked = ["--tolerate", "1", "--headroom", "10%", "--effort", "3000", "--seconds", "60"]
    told = json.loads(run(*FILES, *asked, "--json", "--placement", str(placement), "--svg", str(svg)))
    assert told["lower_bound"] <= told["hosts"] < told["before"]["hosts"]
    assert told["cost_lower_bound"] <= told["cost"] < told["before"]["cost"]
    assert sum(told["by_type"].values()) == told["hosts"]
    checker = [sys.executable, str(ROOT / "tests/check_placement.py"), str(placement), *FILES]
    done = subprocess.run(
        [*checker, "--tolerate", "1", "--headroom", "0.1"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "accepted\n"
    assert svg.read_text().count("<title>") == told["hosts"] + told["before"]["hosts"]


def test_the_table_names_the_bound_and_what_binds() -> None:
    told = run(*FILES, "--effort", "300")
    assert "no fleet has fewer than" in told
    assert "one service a host" in told


def test_hosts_that_run_out_say_what_is_left_over(tmp_path: Path) -> None:
    (tmp_path / "hosts.csv").write_text("type,count,cpu,memory,disk\nlarge,2,8,16,200\n")
    with pytest.raises(SpecError, match=r"hosts.csv:2: column count: hosts run out \(2 of large\)"):
        run("--services", str(EXAMPLE / "services.csv"), "--hosts", str(tmp_path / "hosts.csv"), "--effort", "300")


def test_a_loss_that_cannot_be_met_is_refused(tmp_path: Path) -> None:
    (tmp_path / "services.csv").write_text("service,replicas,cpu\nweb,2,3\n")
    (tmp_path / "hosts.csv").write_text("type,count,cpu\nm,2,4\n")
    with pytest.raises(
        UsageError, match="--tolerate 1 cannot be met: with one of type m lost, no place is left for web"
    ):
        run("--services", str(tmp_path / "services.csv"), "--hosts", str(tmp_path / "hosts.csv"), "--tolerate", "1")


def test_nothing_is_written_when_the_input_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "services.csv").write_text("service,replicas,cpu\nweb,2,x\n")
    (tmp_path / "hosts.csv").write_text("type,count,cpu\nm,2,4\n")
    with pytest.raises(SpecError):
        run("--services", str(tmp_path / "services.csv"), "--hosts", str(tmp_path / "hosts.csv"),
            "--placement", str(tmp_path / "out.csv"))  # fmt: skip
    assert not (tmp_path / "out.csv").exists()
