"""Starts the command line: the moment in which nothing is imported yet.

The imports take half a second, in which a person may press Ctrl-C as in any other: that ends
the program as it does later, with exit code 130 and without a traceback.
"""

from __future__ import annotations

import sys
from importlib import import_module


def start(program: str) -> None:
    """Runs a program of `jobs.cli`, `main` or `run_main`; it ends the process."""
    try:
        getattr(import_module("jobs.cli"), program)()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
