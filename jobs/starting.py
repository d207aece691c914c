"""Starts the command line: the moment in which nothing is imported yet, and its signals.

The imports take half a second, in which a person may press Ctrl-C as in any other: that ends
the program as it does later, with exit code 130 and without a traceback.

Schedulers, service managers and `timeout` send SIGTERM where a person would press Ctrl-C, and it
does the same: what is asked for at an interrupt is done, and it is said how to come back. Some
send it twice at once (`timeout` to the process, then to its group), and a second one would only
cut off what the first one began: it is passed over. Ctrl-C still cuts that off. Only the command
line does so; a program that imports `jobs` has its own signals. Windows has no such signal.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType


def start(program: str) -> None:
    """Runs a program of `jobs.cli`, `main` or `run_main`; it ends the process."""
    if os.name == "posix" and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        getattr(import_module("jobs.cli"), program)()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, _pass_over)
    raise KeyboardInterrupt


def _pass_over(_signal: int, _frame: FrameType | None) -> None:
    """Not `SIG_IGN`, which commands that are started later would inherit."""
