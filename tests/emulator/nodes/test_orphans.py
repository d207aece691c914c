"""What goes on though everybody who stood over it was killed in the same instant."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from emulator.nodes.blobs import NO_STORAGE
from emulator.nodes.interface import AttemptLostError, TaskKind, TaskLaunch
from emulator.nodes.launcher import AgentLostError, Launcher
from emulator.nodes.orphans import end_orphans
from emulator.nodes.runner import ProcessRunner
from emulator.processes import Program
from tests.emulator.nodes.node import NODE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="environments are read in /proc")

ROOT = Path(__file__).resolve().parents[3]
STUBBORN = ("/bin/sh", "-c", "trap '' TERM; (trap '' TERM; sleep 1000) & wait; sleep 1000")


def of_a_node(nodes: Path) -> dict[str, str]:
    """The environment of a task on a node, as far as it matters here."""
    return {"PATH": "/usr/bin:/bin", "AZ_BATCH_NODE_ROOT_DIR": str(nodes / "pool" / "node")}


@contextmanager
def started(*argv: str, env: dict[str, str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        found = psutil.Process(process.pid)
        until(lambda: found.environ().keys() >= env.keys())
        yield found
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def until_it_has_children(process: psutil.Process) -> list[psutil.Process]:
    until(process.children)
    return process.children(recursive=True)


def kill_at_once(*processes: psutil.Process) -> None:
    """None of them sees the other die."""
    for process in processes:
        process.suspend()
    for process in processes:
        process.kill()


def test_everything_of_these_nodes_ends_and_nothing_else(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    elsewhere = tmp_path / "nodes-of-another"
    with (
        started(*STUBBORN, env=of_a_node(nodes)) as mine,
        started("sleep", "1000", env=of_a_node(elsewhere)) as other,
        started("sleep", "1000", env={"PATH": "/usr/bin:/bin", "SEEN": str(nodes)}) as stranger,
    ):
        all_of_mine = [mine, *until_it_has_children(mine)]
        end_orphans(nodes)
        assert not any(map(runs, all_of_mine))
        assert runs(other)
        assert runs(stranger)


def test_an_emulator_in_a_task_spares_what_it_runs_under(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes"
    program = (
        "from pathlib import Path; from emulator.nodes.orphans import end_orphans; "
        f"end_orphans(Path({str(nodes)!r})); print('alive')"
    )
    script = f'sleep 1000 & "{sys.executable}" -c "{program}"; echo "and its shell"'
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=ROOT,
        env=of_a_node(nodes),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split("\n") == ["alive", "and its shell", ""]


async def test_a_program_has_ended_before_anybody_hears_that_it_is_lost(tmp_path: Path) -> None:
    launcher = Launcher(partial(end_orphans, tmp_path))
    try:
        running = await launcher.launch(Program(argv=STUBBORN, env=of_a_node(tmp_path)))
        program = psutil.Process(running.pid)
        everything = [program, *until_it_has_children(program)]
        assert launcher.agent_pid is not None
        kill_at_once(psutil.Process(launcher.agent_pid), psutil.Process(program.ppid()))
        with pytest.raises(AgentLostError):
            await running.wait()
        assert not any(map(runs, everything))
    finally:
        await launcher.close()


@pytest.mark.parametrize("kind", ["task", "coordination"])
async def test_a_task_that_was_being_launched_is_lost_and_has_not_failed(
    tmp_path: Path, kind: TaskKind
) -> None:
    runner = ProcessRunner(tmp_path, NO_STORAGE)
    spec = {
        "commandLine": "/bin/true",
        "multiInstanceSettings": {"coordinationCommandLine": "/bin/true"},
    }
    alone = (NODE.ip_address,)
    one = TaskLaunch(node=NODE, job_id="j", task_id="t", task=spec, kind=kind, nodes=alone)
    try:
        first = dataclasses.replace(one, kind="task")
        await asyncio.create_task(runner.run_task(first, lambda _at: None))
        assert runner._launcher.agent_pid is not None
        agent = psutil.Process(runner._launcher.agent_pid)
        agent.suspend()
        attempt = asyncio.create_task(runner.run_task(one, lambda _at: None))
        done, _ = await asyncio.wait([attempt], timeout=0.2)
        assert not done, "nobody starts it"
        agent.kill()
        with pytest.raises(AttemptLostError):
            await attempt
    finally:
        await runner.close()


def test_nothing_is_looked_for_where_there_is_no_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.nodes.orphans._PROC", tmp_path / "proc")
    with started("sleep", "1000", env=of_a_node(tmp_path)) as process:
        end_orphans(tmp_path)
        assert runs(process)


def test_what_does_not_end_is_told_and_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("emulator.nodes.orphans.PATIENCE_S", 0.1)
    monkeypatch.setattr("emulator.nodes.orphans.signal_all", lambda _pids, _number: None)
    with started("sleep", "1000", env=of_a_node(tmp_path)) as process:
        end_orphans(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    assert f"{{{process.pid}}} of tasks do not end" in caplog.text
