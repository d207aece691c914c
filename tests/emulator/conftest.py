"""What tests of several rooms of the emulator begin with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from tests.emulator.served import ROOT, SERVE, Served, Start
from tests.emulator.service.wire import JOB, POOL, Wire


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A server with a pool `p` and a job `j`, both empty."""
    found = await Wire.start(tmp_path)
    await found.send("POST", "/pools", POOL)
    await found.send("POST", "/jobs", JOB)
    yield found
    await found.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts emulators in the test's local directory; they end with the test."""
    started: list[Served] = []

    def _start(
        *options: str, env: Mapping[str, str] | None = None, pass_fds: tuple[int, ...] = ()
    ) -> Served:
        process = subprocess.Popen(
            [*SERVE, *options],
            cwd=ROOT,
            env={**os.environ, "HPC_LOCAL_DIR": str(tmp_path / "local"), **(env or {})},
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        started.append(Served(process, tmp_path / "local"))
        return started[-1]

    yield _start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
        served.process.communicate()
