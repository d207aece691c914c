"""A start task that starts the collector is the pool's own start task in all else."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from telemetry.start import COMMAND_LINE, environment
from tests.telemetry.conftest import Azure
from tests.telemetry.test_collector import variables


@pytest.fixture
def collectors(azure: Azure) -> Iterator[list[psutil.Process]]:
    """The collectors of the test's node, found when looked for, ended in the end."""

    class Found(list[psutil.Process]):
        def __iter__(self) -> Iterator[psutil.Process]:
            yield from _collectors(azure)

    yield Found()
    for process in _collectors(azure):
        process.kill()
        process.wait()


def _collectors(azure: Azure) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            found = process.environ()
        except psutil.Error:
            continue
        if found.get("HPC_TELEMETRY_METADATA_ENDPOINT") == azure.url:
            yield process


def start(azure: Azure, command: str | None, **more: str) -> subprocess.CompletedProcess[str]:
    url = {"AZ_BATCH_ACCOUNT_URL": "https://hpc.eastus.batch.azure.com"}
    own = {**variables(azure), **url, **environment(command, interval_s=60), **more}
    return subprocess.run(
        shlex.split(COMMAND_LINE),
        env={**own, "HPC_TELEMETRY_INTERVAL_S": "0.05"},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=120,
        umask=0o077,
    )


def without(tmp_path: Path, *names: str) -> str:
    """A PATH with the usual programs but these."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for directory in ("/bin", "/usr/bin"):
        for name in ("id", "mkdir", "python3", "setsid", "sh"):
            source = Path(directory) / name
            if source.exists() and name not in names and not (programs / name).exists():
                (programs / name).symlink_to(source)
    return str(programs)


@pytest.fixture
def unprivileged(tmp_path: Path) -> str:
    """A PATH on which there is no service manager."""
    return without(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("status", [0, 3])
def test_the_pools_command_runs_and_its_status_is_the_start_tasks(
    azure: Azure, collectors: list[psutil.Process], unprivileged: str, status: int
) -> None:
    said = 'echo "it ran"; echo $HPC_TELEMETRY_PROGRAM$HPC_START_COMMAND'
    command = f"/bin/sh -c '{said}; exit {status}'"
    done = start(azure, command, PATH=unprivileged)
    assert (done.returncode, done.stdout) == (status, "it ran\n\n")
    # The collector lives on: rows come after the start task has ended.
    azure.arrived.clear()
    assert azure.arrived.wait(120)
    assert len(list(collectors)) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("collectors")
def test_a_pool_without_a_command_has_a_collector_alone(azure: Azure, unprivileged: str) -> None:
    assert start(azure, None, PATH=unprivileged).returncode == 0
    assert azure.arrived.wait(120)
    # A start task runs again at every reboot, and where it failed: still one collector.
    assert start(azure, None, PATH=unprivileged).returncode == 0
    azure.arrived.clear()
    assert azure.arrived.wait(120)
    assert azure.rows


def test_a_node_of_the_emulator_leaves_nothing_behind(
    azure: Azure, collectors: list[psutil.Process], unprivileged: str
) -> None:
    url = "https://127.0.0.1:10300/"
    done = start(azure, "/bin/echo ran", PATH=unprivileged, AZ_BATCH_ACCOUNT_URL=url)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "emulator" in done.stderr
    assert list(collectors) == []


def test_a_node_without_python_runs_its_command(azure: Azure, tmp_path: Path) -> None:
    done = start(azure, "/bin/echo ran", PATH=without(tmp_path, "python3"))
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "no python3" in done.stderr


def test_a_node_with_an_old_python_runs_its_command(azure: Azure, tmp_path: Path) -> None:
    path = without(tmp_path, "python3")
    old = Path(path) / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = start(azure, "/bin/echo ran", PATH=path)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "older than 3.9" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator makes services")
def test_an_administrators_start_task_makes_a_service(
    azure: Azure, collectors: list[psutil.Process], tmp_path: Path
) -> None:
    path = Path(without(tmp_path))
    manager = path / "systemd-run"
    said = tmp_path / "said"
    manager.write_text(f'#!/bin/sh\nfor one in "$@"; do printf "%s\\n" "$one"; done >{said}\n')
    manager.chmod(0o755)
    directory = tmp_path / "run"
    done = start(azure, "/bin/echo ran", PATH=str(path), HPC_TELEMETRY_DIRECTORY=str(directory))
    assert (done.returncode, done.stdout) == (0, "ran\n")
    arguments = said.read_text().splitlines()
    given = dict(
        one.removeprefix("--setenv=").split("=", 1) for one in arguments if "setenv" in one
    )
    told = variables(azure)
    del told["PATH"], told["HPC_TELEMETRY_METADATA_ENDPOINT"]
    assert given == told
    assert "--property=DynamicUser=yes" in arguments
    program = Path(arguments[-1])
    assert program == directory / "collector.py"
    assert program.stat().st_mode & 0o444 == 0o444
    assert program.read_text() == environment(None, interval_s=60)["HPC_TELEMETRY_PROGRAM"]
    assert list(collectors) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only an administrator makes services")
def test_a_node_whose_service_manager_refuses_has_a_process(
    azure: Azure, collectors: list[psutil.Process], tmp_path: Path
) -> None:
    path = Path(without(tmp_path))
    manager = path / "systemd-run"
    manager.write_text("#!/bin/sh\nexit 1\n")
    manager.chmod(0o755)
    done = start(azure, None, PATH=str(path), HPC_TELEMETRY_DIRECTORY=str(tmp_path / "run"))
    assert done.returncode == 0
    assert azure.arrived.wait(120)
    assert list(collectors)
