"""An application, all the way: declared, deployed, published, run, collected, destroyed.

The real Pulumi engine, the emulator, Azurite and the real command lines; the project's
own program and its local stack, with a local state of the test's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKLOAD = """\
name: packaged
pool: cpu
program:
  application: montecarlo
  version: "1.0"
command: ["{program}/bin/estimate", "{seed}"]
outputs: [estimate.txt]
tasks: {sweep: {seed: [3, 5]}}
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Path]:
    """The local directory of an emulator that runs."""
    directory = tmp_path / "local"
    directory.mkdir()
    with (directory / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "serve", "--service-speed", "400"],
            cwd=ROOT,
            env={**os.environ, "HPC_LOCAL_DIR": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), (directory / "serve.log").read_text()
        yield directory
    finally:
        process.terminate()
        process.communicate(timeout=120)


def test_what_is_published_is_what_tasks_run(local: Path, tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JOBS_", "AZURE_"))
    }
    environment |= {"HPC_LOCAL_DIR": str(local), "PYTHONPATH": str(ROOT)}

    def run(*command: str, at: Path = ROOT, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=at,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run("emulator", "stack", "up", "--stack", "local")
    outputs = json.loads((local / "stacks" / "local" / "outputs.json").read_text())
    assert outputs["applications"] == {"montecarlo": {"default_version": None}}
    assert outputs["management_endpoint"] == outputs["batch_endpoint"]
    assert outputs["batch_account_id"].endswith(f"/{outputs['batch_account_name']}")

    program = tmp_path / "program" / "bin" / "estimate"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$((7 * $1))" > estimate.txt\n')
    program.chmod(0o755)
    publish = ("jobs", "publish", "montecarlo", "program", "--version", "1.0", "--stack", "local")
    assert "published" in run(*publish, "--default", at=tmp_path)
    assert "the same content" in run(*publish, at=tmp_path)

    (tmp_path / "job.yaml").write_text(WORKLOAD)
    run("jobs.run", "job.yaml", "--stack", "local", "--job-id", "packaged", at=tmp_path)
    found = sorted(
        path.read_text() for path in (tmp_path / "results" / "packaged").rglob("estimate.txt")
    )
    assert found == ["21\n", "35\n"]

    # The default version is the publisher's: the next deployment finds nothing to change,
    # a refresh does not make it the stack's, and neither stops the stack's end.
    assert "montecarlo" not in run("emulator", "stack", "preview", "--stack", "local")
    run("emulator", "stack", "refresh", "--stack", "local")
    assert "montecarlo" not in run("emulator", "stack", "preview", "--stack", "local")
    run("emulator", "stack", "destroy", "--stack", "local")
