"""What tasks cost that ran again: on a real node, through the command line and the emulator."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name
pytestmark = pytest.mark.slow

AGAIN = """\
name: again
pool: cpu
script: sleep 1; exit 3
resources: {retries: 2, wall_clock: 1m}
"""


def row_of(tree: Path) -> dict[str, str]:
    with (tree / "tasks.csv").open(newline="", encoding="utf-8") as stream:
        return next(csv.DictReader(stream))


def test_attempts_of_which_the_service_keeps_nothing_are_estimated_until_it_has_counted_them(
    directory: Directory,
) -> None:
    directory.write(AGAIN)
    report = directory.json("run", "job.yaml", "--job-id", "again", code=1)["report"]
    tree = directory.path / "results" / "again"
    node_s = report["dedicated_node_s"] + report["spot_node_s"]
    assert report["retries"] == 2
    assert report["estimated_node_s"] > report["task_s"] >= 1
    assert node_s == pytest.approx(report["estimated_node_s"] + report["task_s"])
    watched = [
        sample["cost"] for sample in json.loads((tree / "history.json").read_text())["samples"]
    ]
    assert report["cost"] >= max(filter(None, watched)) > 0
    row = row_of(tree)
    assert row["earlier_is"] == "estimated"
    assert float(row["cost"]) == pytest.approx(report["cost"], abs=1e-8)
    page = (tree / "report.html").read_text(encoding="utf-8")
    assert "estimated: attempts before the last" in page
    assert "of wall_clock by the longest" in page
    counted = directory.json("report", "again", code=1)["report"]  # the emulator counts at once
    assert counted["estimated_node_s"] == 0
    assert counted["dedicated_node_s"] + counted["spot_node_s"] >= 3
    assert row_of(tree)["earlier_is"] == "counted"
