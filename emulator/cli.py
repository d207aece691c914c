"""`python -m emulator`: the one place that prints errors of the emulator and exits.

Commands live beside what they command, as in `emulator.serve_cli` and `emulator.stack`; what
only one of them needs is imported when that one runs.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

import typer

from emulator.admin_cli import clock, fault_app, reset, world
from emulator.errors import EmulatorError
from emulator.limit_cli import limit_app
from emulator.replay.cli import replay
from emulator.request_cli import request
from emulator.serve_cli import serve
from emulator.stack import env, stack_app

_FULL = (errno.ENOSPC, errno.EDQUOT)

app = typer.Typer(
    name="emulator",
    help="Azure Batch and Resource Manager on a laptop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(env)
app.command()(replay)
app.command()(request)
app.add_typer(stack_app, name="stack")
app.add_typer(fault_app, name="fault")
app.add_typer(limit_app, name="limit")
app.command()(clock)
app.command()(world)
app.command()(reset)


def main() -> None:
    """Runs a command; an error that a person can mend is printed, not traced."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except EmulatorError as error:
        _end(str(error))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _forget_output()
        _end(f"{error.strerror}: {error.filename or 'the output'}. Make room, then run it again.")


def _forget_output() -> None:
    """What could not be written is not tried again when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _end(text: str) -> NoReturn:
    sys.stderr.write(f"error: {text}\n")
    raise SystemExit(1)
