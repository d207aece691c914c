"""`python -m emulator` through its entry point: errors that a person meets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def emulator(
    *arguments: str, local: Path, stdout: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", *arguments]
    environment = {**os.environ, "HPC_LOCAL_DIR": str(local), "NO_COLOR": "1"}
    environment.pop("PYTHONUNBUFFERED", None)
    with (stdout or Path(os.devnull)).open("w") as stream:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream if stdout else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("serve",), ("stack", "outputs"), ("stack", "up"), ("env",)], ids=" ".join
)
def test_a_local_directory_that_is_none_is_one_message(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    place = tmp_path / "file"
    place.write_text("mine")
    done = emulator(*arguments, local=place)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("stack", "up"), ("stack", "outputs"), ("env",)])
def test_a_program_that_asked_for_json_gets_the_error_as_json(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = emulator(*arguments, "--json", local=tmp_path)
    assert done.returncode == 1
    assert "python -m emulator" in json.loads(done.stdout)["error"]
    assert done.stderr.startswith("error: ")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
def test_an_output_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    done = emulator("stack", "outputs", "--json", local=tmp_path, stdout=Path("/dev/full"))
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_system_that_it_does_not_run_on_is_one_message() -> None:
    program = (
        "import os, runpy, sys; os.name = 'nt'; sys.modules['fcntl'] = None;"
        "runpy.run_module('emulator', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "WSL" in done.stderr


def test_a_command_does_not_wait_for_what_only_others_need() -> None:
    heavy = ("emulator.server", "uvicorn", "starlette", "pulumi", "grpc", "httpx", "jwt")
    program = f"import sys, emulator.cli; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
