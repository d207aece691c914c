"""An output that takes nothing is told once, with an exit code that says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_full_output_is_one_message(tmp_path: Path, more: tuple[str, ...]) -> None:
    (tmp_path / "job.yaml").write_text("name: x\npool: cpu\ncommand: echo hello\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONUNBUFFERED", None)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobs", "validate", "job.yaml", *more],
            cwd=tmp_path,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("No space left on device") == 1
    assert "Traceback" not in done.stderr
