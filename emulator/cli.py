"""`python -m emulator`: the one place that prints errors of the emulator and exits.

Commands live beside what they command: `emulator.serve` and `emulator.stack`.
"""

from __future__ import annotations

import sys

import typer

from emulator.errors import EmulatorError
from emulator.serve import serve
from emulator.stack import env, stack_app

app = typer.Typer(
    name="emulator",
    help="Azure Batch and Resource Manager on a laptop.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(env)
app.add_typer(stack_app, name="stack")


def main() -> None:
    """Runs a command; an error that a person can mend is printed, not traced."""
    try:
        app()
    except EmulatorError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one exit for errors
        raise SystemExit(1) from None
