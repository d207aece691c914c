"""`validate` fits a file to a stack and reads no input: those may be large."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.loading import LoadedWorkload

FILE = """\
name: n
pool: cpu
program: {files: [solve], build: {command: make, output: built, sources: [solve]}}
inputs: [table, "of/{x}*"]
tasks: {list: [{x: 1}, {x: 2}]}
command: ./built {x}
"""


def test_a_workload_with_files_is_valid_without_a_look_into_them(
    workload: Callable[..., LoadedWorkload],
    values: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(values()))
    loaded = workload(FILE, solve="", table="", of__1a="", of__2a="", of__2b="")
    monkeypatch.setattr("jobs.contents._read", None)
    words = ["validate", str(loaded.path), "--outputs", str(tmp_path / "stack.json"), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["tasks"] == 2
