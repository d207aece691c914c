"""The keeper, as a command, with real processes that are really killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.processes import descendants, make_directories, parents, parents_by_ps
from tests.emulator.daemon import DAEMON

KEEPER = (sys.executable, "-m", "emulator.processes")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """What a test started; ended after it."""
    all_of_them: list[subprocess.Popen[str]] = []
    yield all_of_them
    for process in all_of_them:
        process.kill()
        process.communicate()


def start(
    started: list[subprocess.Popen[str]], *arguments: str, pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
    )
    started.append(process)
    return process


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def pids(folder: Path, count: int) -> list[psutil.Process]:
    """The processes that wrote their ids to so many files of a folder."""
    until(lambda: len([f for f in folder.glob("*.pid") if f.stat().st_size]) == count)
    return [psutil.Process(int(f.read_text())) for f in sorted(folder.glob("*.pid"))]


def tree(tmp_path: Path) -> str:
    """Shell text that starts a child and a daemon, and then stays."""
    (tmp_path / "daemon.py").write_text(DAEMON)
    return (
        f"echo $$ > {tmp_path}/shell.pid; sleep 1000 & echo $! > {tmp_path}/sleep.pid; "
        f"{sys.executable} {tmp_path}/daemon.py {tmp_path}/daemon.pid; "
    )


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


@pytest.mark.parametrize("status", [0, 1, 77])
def test_the_exit_status_and_the_output_pass_through(
    started: list[subprocess.Popen[str]], status: int
) -> None:
    process = start(started, *KEEPER, "--", "sh", "-c", f"echo out; echo err >&2; exit {status}")
    assert process.communicate() == ("out\n", "err\n")
    assert process.returncode == status


def test_a_command_killed_by_a_signal_is_told_as_a_shell_tells_it(
    started: list[subprocess.Popen[str]],
) -> None:
    process = start(started, *KEEPER, "--", "sh", "-c", "kill -KILL $$")
    process.communicate()
    assert process.returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_told(started: list[subprocess.Popen[str]]) -> None:
    process = start(started, *KEEPER, "--", "no-such-program")
    _, err = process.communicate()
    assert (process.returncode, err) == (
        127,
        "error: no-such-program: No such file or directory\n",
    )


@pytest.mark.parametrize("arguments", [(), ("--",), ("true",), ("--lifeline-fd", "x", "--", "a")])
def test_a_wrong_command_line_shows_the_usage(
    started: list[subprocess.Popen[str]], arguments: tuple[str, ...]
) -> None:
    process = start(started, *KEEPER, *arguments)
    _, err = process.communicate()
    assert process.returncode == 2
    assert err.startswith("usage:")


def test_what_a_command_leaves_running_is_ended(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    os.mkfifo(tmp_path / "hold")
    front = start(started, *KEEPER, "--", "sh", "-c", tree(tmp_path) + f"cat {tmp_path}/hold")
    processes = pids(tmp_path, 3)
    (tmp_path / "hold").write_text("")
    front.communicate()
    assert front.returncode == 0
    assert gone(processes)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["front", "keeper"])
def test_killing_either_process_over_a_command_leaves_none_of_it(
    tmp_path: Path, started: list[subprocess.Popen[str]], victim: str
) -> None:
    front = start(started, *KEEPER, "--", "sh", "-c", tree(tmp_path) + "exec sleep 1000")
    processes = pids(tmp_path, 3)
    (keeper,) = psutil.Process(front.pid).children()
    os.kill(front.pid if victim == "front" else keeper.pid, signal.SIGKILL)
    until(lambda: gone([*processes, keeper]))
    front.communicate()


@pytest.mark.slow
def test_the_death_of_the_fronts_own_parent_ends_the_command(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    parent = start(
        started,
        *(sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"),
        *(*KEEPER, "--", "sh", "-c", tree(tmp_path) + "exec sleep 1000"),
    )
    processes = pids(tmp_path, 3)
    over = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    until(lambda: gone([*processes, *over]))


def test_the_end_of_the_lifeline_ends_the_command(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    theirs, ours = os.pipe()
    command = (*KEEPER, "--lifeline-fd", str(theirs), "--", "sh", "-c")
    front = start(started, *command, tree(tmp_path) + "exec sleep 1000", pass_fds=(theirs,))
    os.close(theirs)
    processes = pids(tmp_path, 3)
    os.close(ours)
    front.communicate()
    assert front.returncode == 128 + signal.SIGTERM
    assert gone(processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_once_and_it_ends_as_it_wants(
    tmp_path: Path, started: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    code = (
        "import signal, sys, pathlib\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])\n"
        f"pathlib.Path('{tmp_path}/up').write_text('1')\n"
        f"signal.sigwait([{number}])\n"
        f"print('stopping', signal.sigtimedwait([{number}], 0.1)); sys.exit(9)\n"
    )
    front = start(started, *KEEPER, "--", sys.executable, "-c", code)
    until((tmp_path / "up").exists)
    front.send_signal(number)
    assert front.communicate()[0] == "stopping None\n"
    assert front.returncode == 9


def test_a_signal_that_comes_before_the_keeper_heeds_any_reaches_the_command(
    started: list[subprocess.Popen[str]],
) -> None:
    code = (
        "import os, signal, sys\n"
        "from emulator.processes import keep\n"
        "setsid = os.setsid\n"
        "def slowly():\n"  # what the keeper does first
        "    setsid()\n"
        "    os.kill(os.getppid(), signal.SIGTERM)\n"
        "    while signal.SIGTERM not in signal.sigpending(): pass\n"
        "os.setsid = slowly\n"
        "sys.exit(keep(['sleep', '1000']))\n"
    )
    front = start(started, sys.executable, "-c", code)
    front.communicate(timeout=60)
    assert front.returncode == 128 + signal.SIGTERM


def test_a_parent_that_is_removed_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, make = tmp_path / "job" / "task", os.makedirs

    def make_and_lose(path: str, *, exist_ok: bool) -> None:
        make(path, exist_ok=exist_ok)
        Path(path).rmdir()
        monkeypatch.setattr(os, "makedirs", make)

    monkeypatch.setattr(os, "makedirs", make_and_lose)
    make_directories([str(task), f"{task}/wd"])
    assert (task / "wd").is_dir()


def test_both_ways_to_read_the_process_table_agree() -> None:
    mine = os.getpid()
    assert parents()[mine] == os.getppid()
    with contextlib.suppress(FileNotFoundError):  # a machine without ps
        assert parents_by_ps()[mine] == os.getppid()


@given(st.dictionaries(st.integers(2, 40), st.integers(1, 40), max_size=40))
def test_descendants_are_those_whose_parents_lead_to_the_root(table: dict[int, int]) -> None:
    def leads(pid: int) -> bool:
        seen: set[int] = set()
        while pid in table and pid not in seen:
            seen.add(pid)
            pid = table[pid]
            if pid == 1:
                return True
        return False

    found = descendants(1, table)
    assert sorted(found) == sorted(pid for pid in table if leads(pid))
    assert all(table[pid] == 1 or found.index(table[pid]) < at for at, pid in enumerate(found))
