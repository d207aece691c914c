"""Commands of a workload that run on this machine: build, merge, check, `--on-finish`.

Each is in a process group of its own, so that all that it started ends with it when it is not
waited for any more: at Ctrl-C, at SIGTERM, which nobody but this process gets, or after its time.
It is asked first (SIGTERM), for it may have files to put in order. On Windows there are no such
groups: there the command alone is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

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
            printed, errors = process.communicate(timeout=timeout_s)
        except BaseException:
            _end(process)
            raise
    return Ended(code=process.returncode, printed=printed or "", errors=errors or "")


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
