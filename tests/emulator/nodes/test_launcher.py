"""Programs started through the real node agent."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from emulator.nodes.launcher import AgentLostError, Launcher
from emulator.processes import Program, SpawnError
from tests.emulator.daemon import DAEMON

ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
async def launcher() -> AsyncIterator[Launcher]:
    one = Launcher()
    yield one
    await one.close()


def program(tmp_path: Path, *argv: str) -> Program:
    return Program(
        argv=argv,
        env=ENV,
        cwd=str(tmp_path),
        stdout=str(tmp_path / "stdout.txt"),
        stderr=str(tmp_path / "stderr.txt"),
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - processes and files set no event
            await asyncio.sleep(0.01)


def written_pid(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return None


async def pid_in(path: Path) -> int:
    await until(lambda: written_pid(path) is not None)
    return written_pid(path) or 0


async def test_output_and_status_are_the_programs_own(tmp_path: Path, launcher: Launcher) -> None:
    running = await launcher.launch(program(tmp_path, "sh", "-c", "pwd; echo no >&2; exit 7"))
    ended = await running.wait()
    assert ended.code == 7
    assert ended.time >= running.time
    assert (tmp_path / "stdout.txt").read_text() == f"{tmp_path}\n"
    assert (tmp_path / "stderr.txt").read_text() == "no\n"


async def test_the_environment_is_what_was_given(tmp_path: Path, launcher: Launcher) -> None:
    os.environ["SECRET_OF_THE_EMULATOR"] = "x"
    try:
        running = await launcher.launch(program(tmp_path, "env"))
        await running.wait()
    finally:
        del os.environ["SECRET_OF_THE_EMULATOR"]
    assert (tmp_path / "stdout.txt").read_text().splitlines() == ["PATH=/usr/bin:/bin"]


async def test_a_program_begins_with_default_signals_and_no_descriptors_of_ours(
    tmp_path: Path, launcher: Launcher
) -> None:
    show = "grep SigIgn /proc/self/status; ls /proc/self/fd"
    await (await launcher.launch(program(tmp_path, "sh", "-c", show))).wait()
    ignored, *descriptors = (tmp_path / "stdout.txt").read_text().split()[1:]
    own_of_libc = 0b11 << 31  # 32 and 33, which glibc uses itself
    assert int(ignored, 16) & ~own_of_libc == 0
    assert set(descriptors) == {"0", "1", "2", "3"}  # 3 is the directory that ls reads


@pytest.mark.parametrize(
    ("name", "stage", "number"),
    [
        ("no-such-program", "program", errno.ENOENT),
        ("./not-executable", "program", errno.EACCES),
        ("./no-format", "program", errno.ENOEXEC),
    ],
)
async def test_what_cannot_start_says_why(
    tmp_path: Path, launcher: Launcher, name: str, stage: str, number: int
) -> None:
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    (tmp_path / "no-format").write_bytes(b"\0\1\2")
    (tmp_path / "no-format").chmod(0o755)
    with pytest.raises(SpawnError) as caught:
        await launcher.launch(program(tmp_path, name))
    assert (caught.value.stage, caught.value.errno) == (stage, number)


async def test_output_that_cannot_be_written_is_told_apart(
    tmp_path: Path, launcher: Launcher
) -> None:
    (tmp_path / "stdout.txt").mkdir()
    with pytest.raises(SpawnError) as caught:
        await launcher.launch(program(tmp_path, "true"))
    assert (caught.value.stage, caught.value.errno) == ("output", errno.EISDIR)


async def test_directories_are_made_before_the_program_changes_to_its_own(
    tmp_path: Path, launcher: Launcher
) -> None:
    task = tmp_path / "job" / "task"
    wants = dataclasses.replace(
        program(tmp_path, "pwd"), cwd=f"{task}/wd", directories=(str(task), f"{task}/wd")
    )
    for _ in range(2):  # what is there is no error
        assert (await (await launcher.launch(wants)).wait()).code == 0
        assert (tmp_path / "stdout.txt").read_text() == f"{task}/wd\n"


async def test_a_directory_that_cannot_be_made_is_told_apart(
    tmp_path: Path, launcher: Launcher
) -> None:
    (tmp_path / "file").touch()
    wants = dataclasses.replace(
        program(tmp_path, "true"), directories=(str(tmp_path / "file" / "task"),)
    )
    with pytest.raises(SpawnError) as caught:
        await launcher.launch(wants)
    assert (caught.value.stage, caught.value.errno) == ("directories", errno.ENOTDIR)


async def test_a_daemon_with_an_empty_environment_ends_with_its_program(
    tmp_path: Path, launcher: Launcher
) -> None:
    pid_file = tmp_path / "daemon.pid"
    wait = f'while [ ! -s {pid_file} ]; do sleep 0.01; done; exec "$@"'
    command = f"{sys.executable} -c '{DAEMON}' {pid_file}; {wait}"
    running = await launcher.launch(program(tmp_path, "sh", "-c", command, "sh", "true"))
    ended = await running.wait()
    assert ended.code == 0
    assert not psutil.pid_exists(await pid_in(pid_file))


async def test_stopping_ends_all_of_it_and_lets_the_program_say_so(
    tmp_path: Path, launcher: Launcher
) -> None:
    child = tmp_path / "child.pid"
    script = f"trap 'echo bye; exit 3' TERM; sleep 1000 & echo $! > {child}; wait"
    running = await launcher.launch(program(tmp_path, "sh", "-c", script))
    pid = await pid_in(child)
    running.stop(20.0)
    assert (await running.wait()).code == 3
    assert not psutil.pid_exists(pid)
    assert (tmp_path / "stdout.txt").read_text() == "bye\n"


async def test_what_ignores_the_request_is_killed_after_the_grace(
    tmp_path: Path, launcher: Launcher
) -> None:
    ready = tmp_path / "ready"
    script = f"trap '' TERM; echo 1 > {ready}; sleep 1000"
    running = await launcher.launch(program(tmp_path, "sh", "-c", script))
    await pid_in(ready)
    running.stop(0.05)
    assert (await running.wait()).code == 128 + signal.SIGKILL


async def test_cancelling_a_launch_leaves_nothing_of_it(
    tmp_path: Path, launcher: Launcher
) -> None:
    await (await launcher.launch(program(tmp_path, "true"))).wait()
    agent = psutil.Process(launcher.agent_pid)
    for turn in range(20):
        launching = asyncio.create_task(launcher.launch(program(tmp_path, "sleep", "1000")))
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        launching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launching
    await until(lambda: not any(child.children() for child in agent.children()))


@pytest.mark.slow
async def test_a_launch_cancelled_while_the_agent_starts_harms_no_other(tmp_path: Path) -> None:
    for turns in range(0, 40, 2):
        one = Launcher()
        first = asyncio.create_task(one.launch(program(tmp_path, "sleep", "1000")))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        if turns % 8 == 0:
            running = await asyncio.wait_for(one.launch(program(tmp_path, "true")), 60)
            assert (await running.wait()).code == 0
        await asyncio.wait_for(one.close(), 60)


async def test_short_programs_side_by_side_are_each_heard_of_once(
    tmp_path: Path, launcher: Launcher
) -> None:
    async def chain() -> set[int]:
        return {
            (await (await launcher.launch(program(tmp_path, "true"))).wait()).code
            for _ in range(40)
        }

    async with asyncio.timeout(180):
        assert await asyncio.gather(*(chain() for _ in range(8))) == [{0}] * 8


async def test_nothing_is_launched_after_the_end(tmp_path: Path, launcher: Launcher) -> None:
    await launcher.close()
    with pytest.raises(AgentLostError):
        await launcher.launch(program(tmp_path, "true"))


async def test_time_and_memory_of_all_processes_are_counted(
    tmp_path: Path, launcher: Launcher
) -> None:
    burn = "import time; b = b'x' * 50_000_000\nwhile time.process_time() < 0.2: pass"
    script = f'{sys.executable} -c "{burn}"; true'
    ended = await (await launcher.launch(program(tmp_path, "sh", "-c", script))).wait()
    assert ended.cpu_s >= 0.2
    assert ended.peak_bytes >= 50_000_000


async def test_closing_ends_what_runs(tmp_path: Path, launcher: Launcher) -> None:
    running = await launcher.launch(program(tmp_path, "sh", "-c", "sleep 1000; true"))
    waiting = asyncio.create_task(running.wait())
    process = psutil.Process(running.pid)
    await launcher.close()
    assert not process.is_running()
    with pytest.raises(AgentLostError):
        await waiting


async def test_a_killed_agent_takes_its_tasks_along_and_is_replaced(
    tmp_path: Path, launcher: Launcher
) -> None:
    running = await launcher.launch(program(tmp_path, "sleep", "1000"))
    process = psutil.Process(running.pid)
    assert launcher.agent_pid is not None
    os.kill(launcher.agent_pid, signal.SIGKILL)
    with pytest.raises(AgentLostError):
        await running.wait()
    await until(lambda: not process.is_running())
    assert (await (await launcher.launch(program(tmp_path, "true"))).wait()).code == 0


async def test_a_killed_supervisor_ends_its_own_task_alone(
    tmp_path: Path, launcher: Launcher
) -> None:
    first = await launcher.launch(program(tmp_path, "sh", "-c", "sleep 1000 & sleep 1000"))
    other = await launcher.launch(program(tmp_path, "sleep", "1000"))
    mine = psutil.Process(first.pid)
    await until(lambda: len(mine.children()) == 2)
    everything = [mine, *mine.children()]
    os.kill(mine.ppid(), signal.SIGKILL)
    assert (await first.wait()).code == 128 + signal.SIGKILL
    await until(lambda: not any(process.is_running() for process in everything))
    assert psutil.Process(other.pid).is_running()


async def test_a_supervisor_takes_the_next_task_and_carries_nothing_over(
    tmp_path: Path, launcher: Launcher
) -> None:
    burn = f"{sys.executable} -c \"b = b'x' * 50_000_000; import time; time.sleep(1000)\""
    first = await launcher.launch(program(tmp_path, "sh", "-c", f"{burn} & wait"))
    supervisor = psutil.Process(first.pid).ppid()
    first.stop(0.0)
    first.stop(0.0)  # heard when it has ended, or by the next: in no case the next's end
    await first.wait()
    second = await launcher.launch(program(tmp_path, "sh", "-c", "sleep 0.1; exit 5"))
    assert psutil.Process(second.pid).ppid() == supervisor
    ended = await second.wait()
    assert ended.code == 5
    assert ended.peak_bytes < 50_000_000
