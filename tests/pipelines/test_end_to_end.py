"""Every script step of `azure-pipelines.yml`, in order, for real, against the emulator.

Contract: the steps run on a laptop with the variables that the file declares. The values
come from the file; two are replaced so that nothing is left in the working tree: RESULTS,
and WORKLOAD by a copy of the same folder with fewer paths.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.pipelines.definition import ROOT, compiled, steps

pytestmark = [pytest.mark.slow, pytest.mark.engine]

READY_TIMEOUT_S = 180
STEP_TIMEOUT_S = 600
STOP_TIMEOUT_S = 120


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Path]:
    """A running emulator; answers the directory of its state."""
    local = tmp_path / "local"
    local.mkdir()
    command = [sys.executable, "-m", "emulator", "serve", "--port", "0"]
    command += ["--service-speed", "100"]
    log = tmp_path / "emulator.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"HPC_LOCAL_DIR": str(local)},
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
        line = process.stdout.readline() if readable else b""
        assert line, log.read_text()
        assert json.loads(line)["batch_endpoint"]
        yield local
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.communicate()


def copied_workload(declared: str, directory: Path) -> Path:
    """The workload's folder elsewhere, with a twentieth of its paths."""
    source = ROOT / declared
    copy = directory / source.parent.name
    shutil.copytree(source.parent, copy, ignore=shutil.ignore_patterns("build", "__pycache__"))
    workload = copy / source.name
    text = workload.read_text("utf-8")
    assert "paths: 640000000" in text
    workload.write_text(text.replace("paths: 640000000", "paths: 32000000"), "utf-8")
    return workload


def run_step(script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / script],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=STEP_TIMEOUT_S,
    )


def test_every_step_runs_on_a_laptop_in_the_files_order(emulator: Path, tmp_path: Path) -> None:
    pipeline = compiled(stack="local")
    declared: Mapping[str, str] = pipeline["variables"]
    assert declared["STACK"] == "local"
    workload = copied_workload(declared["WORKLOAD"], tmp_path)
    program = workload.parent / "build" / "montecarlo"
    results = tmp_path / "the results"
    variables = {
        name: value.replace("$(Pipeline.Workspace)", str(tmp_path))
        for name, value in declared.items()
    }
    environment = os.environ | variables | {"HPC_LOCAL_DIR": str(emulator)}
    environment |= {"WORKLOAD": str(workload), "RESULTS": str(results)}

    said = {}
    for step in steps(pipeline):
        # The first stage runs these tests.
        if step.script is not None and step.stage != "check" and step.script != "make setup":
            if step.script == "pipelines/run_job.sh":
                # As the artifact arrives on another agent: without the right to execute.
                program.chmod(0o644)
                made = program.stat().st_mtime_ns
            done = run_step(step.script, environment)
            assert done.returncode == 0, f"{step.script}:\n{done.stdout}\n{done.stderr}"
            said[step.script] = done.stdout

    assert len(said) == 7
    assert program.stat().st_mtime_ns == made, "the run built the program again"
    assert "all within 4.5 standard errors" in said["pipelines/run_job.sh"]
    [job] = results.iterdir()
    assert (job / "results.csv").read_text().count("\n") == 13
    assert len(list((job / "outputs").rglob("sums-*.csv"))) == 16
    assert len(list((job / "logs").rglob("stderr.txt"))) == 16

    # Steps can be run again: nothing changes, nothing is sent twice.
    for script in ("deploy", "publish", "load_data", "collect"):
        again = run_step(f"pipelines/{script}.sh", environment)
        assert again.returncode == 0, again.stderr
