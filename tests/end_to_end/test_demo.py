"""`make demo` as a newcomer runs it, and killed at random moments.

`DEMO_KILLS` says how many moments (2 unless set); the seed is printed with a failure.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("DEMO_KILLS", "2"))
SEED = int(os.environ.get("DEMO_SEED", str(random.SystemRandom().randrange(10**6))))
FULL_RUN_S = 45.0
"""About what a demo takes; moments are drawn from it, and a demo that ended before is fine."""

pytestmark = [pytest.mark.slow, pytest.mark.engine]


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "local"
    assert left_running(tmp_path / "local") == []


def start(local: Path, output: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HPC_LOCAL_DIR": str(local), "NO_COLOR": "1"}
    with output.open("wb") as stream:
        return subprocess.Popen(
            ["make", "demo"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def left_running(local: Path) -> list[str]:
    """Processes that were started for this local directory, or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = (
                process.environ().get("HPC_LOCAL_DIR", "").startswith(str(local))
                or Path(process.cwd()).is_relative_to(local)
                or any(str(local) in argument for argument in process.cmdline())
            )
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def eventually(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.1)
    return True


def full_demo(local: Path, output: Path) -> str:
    process = start(local, output)
    status = process.wait(900)
    text = output.read_text()
    assert status == 0, text
    assert left_running(local) == [], text
    return text


def test_the_demo_checks_the_answer_and_leaves_nothing_running(
    local: Path, tmp_path: Path
) -> None:
    text = full_demo(local, tmp_path / "output")
    last = text.rstrip().splitlines()[-1]
    assert last.startswith("OK")
    assert "Black-Scholes" in text
    assert re.search(r"node.?seconds", text, re.IGNORECASE)
    assert "$" in text
    assert max(map(len, text.splitlines())) <= 200


def kill_front(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def interrupt_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def terminate_front(process: subprocess.Popen[bytes]) -> None:
    process.terminate()


def test_a_demo_killed_at_any_moment_leaves_no_process_and_can_be_started_again(
    local: Path, tmp_path: Path
) -> None:
    drawn = random.Random(SEED)  # noqa: S311 - moments, not secrets
    ways = [kill_group, interrupt_group, kill_front, terminate_front]
    for number in range(KILLS):
        way, moment = ways[number % len(ways)], drawn.uniform(0.1, FULL_RUN_S)
        output = tmp_path / f"output-{number}"
        process = start(local, output)
        story = f"seed {SEED}, kill {number}: {way.__name__} after {moment:.1f} s"
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            way(process)
            process.wait(120)
        gone = eventually(lambda: left_running(local) == [], 120)
        assert gone, f"{story}\n{left_running(local)}\n{output.read_text()}"
    full_demo(local, tmp_path / "output")
