"""Declared outputs that tasks do not leave, at the end of a run and at `collect`."""

from __future__ import annotations

from typing import Any

import pytest

Directory = Any  # the fixture of command_line.py, which importlib mode cannot name

pytestmark = pytest.mark.slow

WORKLOAD = """\
    name: unmatched
    pool: cpu
    script: '[ {index} -gt 0 ] || echo 1 > some.txt'
    outputs: [result.csv, "some*.txt"]
    tasks: 3
    """
TOLD = [
    "result.csv matched nothing in 3 of 3 tasks [outputs]",
    "some*.txt matched nothing in 2 of 3 tasks [outputs]",
]


def test_what_no_task_left_is_told_and_counts_where_warnings_do(directory: Directory) -> None:
    directory.write(WORKLOAD)
    out, err = directory.jobs("run", "job.yaml")
    assert out.splitlines()[-1].rstrip() == "OK"
    assert [line for line in err.splitlines() if "[outputs]" in line] == [
        f"warning: {line}" for line in TOLD
    ]
    assert directory.json("collect")["warnings"] == TOLD
    _, err = directory.jobs("collect")
    assert f"warning: {TOLD[0]}" in err
    _, err = directory.jobs("run", "job.yaml", "--fail-on", "warning", code=1)
    assert "error: with --fail-on warning:\n  result.csv matched nothing" in err
    known = ("--fail-on", "warning", "--ignore", "outputs")
    assert directory.json("run", "job.yaml", *known)["warnings"] == []
    directory.jobs("clean", "1", "--yes")
