"""Commands of a workload that run on this machine: build, merge, check, `--on-finish`.

Each is in a process group of its own, so that all that it started ends with it when it is not
waited for any more: at Ctrl-C, at SIGTERM, which nobody but this process gets, or after its time.
It is asked first (SIGTERM), for it may have files to put in order. What a terminal tells the group
in front of it alone, that it is closed, is passed on before this process ends of it. On Windows
there are no such groups: there the command alone is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

GRACE_S = 5.0
"""How long a command that is to end has for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        printed: What it printed, where that is a pipe.
        errors: The same of stderr.
    """

    code: int
    printed: str
    errors: str


def run_command(
    command: Sequence[str],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    timeout_s: float | None = None,
) -> Ended:
    """Runs a command to its end, without input.

    Args:
        command: Its words.
        directory: Where it starts; None: where this process is.
        environment: Its variables; None: those of this process.
        stdout: Descriptor that it prints to, or `subprocess.PIPE`; None: that of this process.
        stderr: The same of its errors, or `subprocess.STDOUT`.
        timeout_s: How long it may run; None: as long as it takes.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: Its time passed; it was ended.
    """
    signals = _Signals()
    try:
        with subprocess.Popen(
            command,
            cwd=directory,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            encoding="utf-8",
            errors="replace",
            process_group=0 if os.name == "posix" else None,
        ) as process:
            try:
                signals.act_on(process)
                printed, errors = process.communicate(timeout=timeout_s)
            except BaseException:
                _end(process)
                raise
    finally:
        signals.restore()
    return Ended(code=process.returncode, printed=printed or "", errors=errors or "")


class _Signals:
    """What signals do while a command is started and runs; only the main thread can say.

    Until it is known what was started, they wait: it would go on, and nobody could end it. Those
    that end this process without a word are then passed on, before it ends of them.
    """

    def __init__(self) -> None:
        """Lets them wait."""
        ours = os.name == "posix" and threading.current_thread() is threading.main_thread()
        ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT) if ours else ()
        handlers = {one: signal.getsignal(one) for one in ending}
        self._came: list[int] = []
        self._process: subprocess.Popen[str] | None = None
        self._before = {
            one: handler
            for one, handler in handlers.items()
            if callable(handler) or handler is signal.SIG_DFL
        }
        for one in self._before:
            signal.signal(one, self._wait)

    def act_on(self, process: subprocess.Popen[str]) -> None:
        """Lets them do what they do, those that came meanwhile first."""
        self._process = process
        for one, handler in self._before.items():
            signal.signal(one, self._pass_on if handler is signal.SIG_DFL else handler)
        for number in self._came:
            signal.raise_signal(number)

    def restore(self) -> None:
        """Takes back what this has changed; what a handler has changed since stays."""
        for one, handler in self._before.items():
            if signal.getsignal(one) in (self._wait, self._pass_on):
                signal.signal(one, handler)
        for number in self._came if self._process is None else ():  # nothing was started
            signal.raise_signal(number)

    def _wait(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self._process is not None:
            _send(self._process, signal.Signals(number))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a command with all that it started."""
    try:
        _send(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    finally:  # Ctrl-C may come again, while it is waited for
        _send(process, None)
        process.wait()


def _send(process: subprocess.Popen[str], number: signal.Signals | None) -> None:
    """Sends a signal to a command and all that it started; None: the one that ends it at once."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):  # it has ended, or is another's by now
            os.killpg(process.pid, signal.SIGKILL if number is None else number)
    elif number is None:
        process.kill()
    else:
        process.terminate()
