"""Commands on this machine, and SIGTERM, which ends them as Ctrl-C does."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jobs.own_commands import run_command

ROOT = Path(__file__).resolve().parents[2]
# What it leaves running says that it began: its parent's trap is no longer its own then.
LONG = "exec 3>held; {trap}; (echo begun >&3; exec sleep 600) & wait; {after}"
# Whoever runs these tests may have been told to ignore a signal: `nohup`, or a shell's `&`.
JOBS = """
import runpy, signal
for one in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(one, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("jobs", run_name="__main__", alter_sys=True)
"""
BUILDS = """\
name: slow
pool: cpu
command: ./made
program:
  build: {{command: [sh, -c, "{script}"], sources: [job.yaml], output: made}}
"""


def ended(directory: Path, signals: Sequence[int], script: str) -> tuple[int, str]:
    """Runs a build until its command has begun, then sends signals; exit code and stderr.

    Demands that nothing that the command started goes on.
    """
    (directory / "job.yaml").write_text(BUILDS.format(script=script))
    os.mkfifo(directory / "held")
    held = os.open(directory / "held", os.O_RDONLY | os.O_NONBLOCK)
    with (
        os.fdopen(held, "rb") as reader,
        subprocess.Popen(
            [sys.executable, "-c", JOBS, "build", ".", "--stack", "none"],
            cwd=directory, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stderr is not None
            ready = select.select([held, process.stderr.fileno()], [], [], 60)[0]
            assert held in ready, "the command has not begun"
            os.set_blocking(held, True)
            for number in signals:
                process.send_signal(number)
            assert reader.read() == b"begun\n", "until nobody holds it"
            _, err = process.communicate(timeout=120)
        except BaseException:
            process.kill()
            raise
    return process.returncode, err


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM)],
    ids=["ctrl-c", "sigterm", "twice"],
)
def test_an_interrupt_ends_a_command_with_all_that_it_started(
    signals: Sequence[int], tmp_path: Path
) -> None:
    script = LONG.format(trap="trap 'echo > tidied; exit 1' TERM", after="exit 1")
    assert ended(tmp_path, signals, script) == (130, "interrupted\n")
    assert (tmp_path / "tidied").exists(), "it was asked before it was ended"


def test_a_command_that_does_not_end_when_asked_is_ended(tmp_path: Path) -> None:
    script = LONG.format(trap="trap '' TERM", after="sleep 600")
    assert ended(tmp_path, [signal.SIGTERM], script) == (130, "interrupted\n")


def test_a_terminal_that_is_closed_ends_what_runs_as_if_it_were_in_front(tmp_path: Path) -> None:
    script = LONG.format(trap="trap 'echo > tidied; exit 1' HUP", after="exit 1")
    assert ended(tmp_path, [signal.SIGHUP], script) == (-signal.SIGHUP, "")


def test_ctrl_c_cuts_off_what_sigterm_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever presses it does not wait for a command that is slow to end."""
    waits: list[float | None] = []

    class Stubborn(subprocess.Popen[str]):
        def communicate(self, *_: object, **__: object) -> tuple[str, str]:
            raise KeyboardInterrupt

        def wait(self, timeout: float | None = None) -> int:
            waits.append(timeout)
            if timeout is not None:
                raise KeyboardInterrupt
            return super().wait()

    monkeypatch.setattr("subprocess.Popen", Stubborn)
    with suppress(KeyboardInterrupt):
        run_command(["sh", "-c", "trap '' TERM; sleep 600"], directory=tmp_path)
    assert None in waits, "it has ended"


def test_an_interrupt_while_a_command_is_started_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    class Slow(subprocess.Popen[str]):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            started.append(self)
            os.kill(os.getpid(), signal.SIGINT)  # it runs, and nobody knows yet

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("subprocess.Popen", Slow)
    with pytest.raises(KeyboardInterrupt):
        run_command(["sleep", "600"], directory=tmp_path)
    assert started[0].returncode == -signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is before

    class Refused(subprocess.Popen[str]):
        def __init__(self, *_: Any, **__: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            raise FileNotFoundError

        def __del__(self) -> None:
            """There is no process."""

    monkeypatch.setattr("subprocess.Popen", Refused)
    with pytest.raises(KeyboardInterrupt):
        run_command(["no-such-command"])


def test_signals_are_left_as_they_were_and_other_threads_leave_them_alone() -> None:
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = [signal.getsignal(one) for one in kinds]
    codes = [run_command(["true"]).code]
    thread = threading.Thread(target=lambda: codes.append(run_command(["false"]).code))
    thread.start()
    thread.join()
    assert codes == [0, 1]
    with pytest.raises(FileNotFoundError):
        run_command(["no-such-command"])
    assert [signal.getsignal(one) for one in kinds] == before


def test_what_a_command_prints_and_its_code_are_told(tmp_path: Path) -> None:
    where = {"directory": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = run_command(["sh", "-c", "pwd; echo $A >&2; exit 3"], environment={"A": "a"},
                                **where)  # type: ignore[arg-type] # fmt: skip # of three kinds
    assert (done.code, done.printed) == (3, f"{tmp_path}\na\n")
    with pytest.raises(subprocess.TimeoutExpired):
        run_command(["sleep", "600"], timeout_s=0.1)


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    asked = "import signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_IGN)"
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"atexit.register(lambda: exec({asked!r}))\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "completion", "--quiet"],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("True\n")
