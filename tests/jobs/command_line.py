"""The command line, run against the emulator and Azurite: fixtures for end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ESTATE = Path(__file__).with_name("estate.py")


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An emulator with a pool; its local directory."""
    with _running(tmp_path_factory.mktemp("estate")) as local:
        yield local


@pytest.fixture(scope="module")
def timed_estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same, with a clock that the tests move (`faults_of`, `clock/advance`)."""
    with _running(tmp_path_factory.mktemp("timed"), ESTATE_CLOCK="manual") as local:
        yield local


@contextmanager
def _running(local: Path, **variables: str) -> Iterator[Path]:
    log = (local / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, ESTATE],
        cwd=ROOT,
        env={**os.environ, "HPC_LOCAL_DIR": str(local), "PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            pytest.fail((local / "log").read_text())
        yield local
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(120)
        process.stdout.close()  # type: ignore[union-attr] # a pipe was asked for
        log.close()


@dataclass
class Directory:
    """A directory with a workload in which commands are run."""

    path: Path
    environment: dict[str, str]

    def write(self, text: str, **files: str) -> None:
        (self.path / "job.yaml").write_text(dedent(text), encoding="utf-8")
        for name, content in files.items():
            (self.path / name.replace("_DOT_", ".")).write_text(content, encoding="utf-8")

    def start(self, *arguments: str, module: str = "jobs") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def jobs(self, *arguments: str, code: int = 0, module: str = "jobs") -> tuple[str, str]:
        """Runs a command and demands its exit code; stdout and stderr."""
        with self.start(*arguments, module=module) as process:
            try:
                out, err = process.communicate(timeout=900)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        assert process.returncode == code, f"{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        value = json.loads(self.jobs(*arguments, "--json", code=code)[0])
        assert isinstance(value, dict)
        return value


@pytest.fixture
def make_directory(tmp_path: Path) -> Callable[..., Directory]:
    """Makes a directory whose commands go to the emulator of a local directory."""

    def make(local: Path, stack: str = "local") -> Directory:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JOBS_", "AZURE_"))
        }
        path = tmp_path / 'it\'s a "work" dir'
        path.mkdir()
        return Directory(
            path,
            {
                **environment,
                "HPC_LOCAL_DIR": str(local),
                "PYTHONPATH": str(ROOT),
                "JOBS_STACK": stack,
                "COLUMNS": "80",
            },
        )

    return make


@pytest.fixture
def directory(estate: Path, make_directory: Callable[..., Directory]) -> Directory:
    return make_directory(estate)


@dataclass(frozen=True)
class Faults:
    """What goes wrong in an emulator, on demand; `rules` in force, with how often each struck."""

    url: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the emulator, on loopback
            f"{self.url}/_emulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def add(self, **rule: object) -> None:
        self.ask("POST", "faults", rule)

    def rules(self) -> list[dict[str, Any]]:
        told = self.ask("GET", "faults")
        return list(told["faults"] if isinstance(told, dict) else told)


def faults_of(estate: Path) -> Faults:
    """Of the emulator of a local directory."""
    values = json.loads((estate / "stacks" / "local" / "outputs.json").read_text())
    return Faults(values["batch_endpoint"])


@pytest.fixture
def timed_directory(timed_estate: Path, make_directory: Callable[..., Directory]) -> Directory:
    return make_directory(timed_estate)


@pytest.fixture
def timed_faults(timed_estate: Path) -> Iterator[Faults]:
    found = faults_of(timed_estate)
    yield found
    found.ask("DELETE", "faults")


@pytest.fixture
def faults(estate: Path) -> Iterator[Faults]:
    found = faults_of(estate)
    yield found
    found.ask("DELETE", "faults")
    found.ask("DELETE", "rate")
