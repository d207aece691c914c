"""`make clean`: what it takes, what it leaves, and when it takes nothing."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE = (".venv/bin/python", ".local/keys.json", "build/x", ".mypy_cache/x", ".hypothesis/x",
        "policy/venv/x", "bootstrap/azurite/node_modules/x", ".coverage.1")  # fmt: skip
KEPT = ("results/mc-1/job.json", "results/mc-1/outputs/0/price.csv", "jobs/run.py",
        "workloads/mine/build/program", "policy/__main__.py")  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    target = tmp_path / "clone"
    target.mkdir()
    for name in (*MADE, *KEPT):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("x")
    ignored = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "bootstrap", target / "bootstrap", ignore=ignored, dirs_exist_ok=True)
    shutil.copy(ROOT / "Makefile", target)
    return target


def clean(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "HPC_LOCAL_DIR"}
    return subprocess.run(
        ["make", "clean"],
        cwd=clone,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """As whoever works in the clone holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def test_what_was_made_goes_and_what_runs_left_stays(clone: Path) -> None:
    done = clean(clone)
    assert done.returncode == 0, done.stderr
    assert [name for name in MADE if (clone / name).exists()] == []
    assert [name for name in KEPT if not (clone / name).exists()] == []
    assert not (clone / ".venv").exists()
    assert "results/ stays" in done.stderr
    assert clean(clone).returncode == 0, "a clean clone is clean"


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        (".local/serve.lock", "an emulator works in"),
        (".local/demo/serve.lock", "an emulator works in"),
        (".local/demo.lock", "a demo works in"),
        (".local/setup.lock", "a set-up works in"),
    ],
)
def test_nothing_goes_while_something_runs(clone: Path, lock: str, told: str) -> None:
    with held(clone / lock):
        done = clean(clone)
    assert done.returncode != 0
    assert told in done.stderr
    assert [name for name in (*MADE, *KEPT) if not (clone / name).exists()] == []
    assert clean(clone).returncode == 0, "a lock that nobody holds keeps nobody"


def test_the_emulator_is_told_with_what_stops_it_wherever_its_state_is(
    clone: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    with held(elsewhere / "serve.lock"):
        (elsewhere / "run.json").write_text(json.dumps({"pid": 4711}))
        done = clean(clone, HPC_LOCAL_DIR=str(elsewhere))
    assert done.returncode != 0
    assert "kill 4711" in done.stderr
    assert (clone / ".venv").exists()


@pytest.mark.slow
def test_a_running_emulator_is_seen(clone: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    process = subprocess.Popen(
        [sys.executable, "-m", "emulator", "serve", "--no-provider", "--no-blob", "--in-memory"],
        cwd=ROOT,
        env={**os.environ, "HPC_LOCAL_DIR": str(local)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "it did not start"
        done = clean(clone, HPC_LOCAL_DIR=str(local))
        assert f"kill {process.pid}" in done.stderr
        assert (clone / ".venv").exists()
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert clean(clone, HPC_LOCAL_DIR=str(local)).returncode == 0


def test_a_link_goes_and_what_it_leads_to_stays(clone: Path, tmp_path: Path) -> None:
    shutil.rmtree(clone / ".venv")
    (tmp_path / "shared").mkdir()
    (clone / ".venv").symlink_to(tmp_path / "shared")
    assert clean(clone).returncode == 0
    assert not (clone / ".venv").is_symlink()
    assert (tmp_path / "shared").is_dir()
