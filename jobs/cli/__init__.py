"""`python -m jobs VERB`, and `python -m jobs.run`: the table of verbs.

A verb is a function in the module of its group; its docstring is its help. What verbs
have in common, the one exit for errors among it, is in `jobs.cli.command`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from textwrap import dedent
from typing import Annotated

import typer

from jobs.cli.command import command
from jobs.cli.counting import costs
from jobs.cli.everywhere import with_all_flags
from jobs.cli.following import cancel, explain, resume, status, wait
from jobs.cli.gathering import collect, logs, report
from jobs.cli.keeping import clean, doctor
from jobs.cli.listing import list_jobs
from jobs.cli.publishing import publish
from jobs.cli.rerunning import rerun
from jobs.cli.scheduling import schedule_app
from jobs.cli.sending import build, run, stage, submit, validate
from jobs.cli.usage import OnlyVerb, Verbs
from jobs.completion import SHELLS, script
from jobs.errors import EXIT_INPUT
from jobs.options import (
    ColorOption,
    JsonOption,
    QuietOption,
    VerbCommand,
    VerboseOption,
)
from jobs.threads import left_behind

_WAIT = (wait.__doc__ or "").partition("\n")[2]
_WATCH = f"The same as wait.\n{dedent(_WAIT).replace('jobs wait', 'jobs watch')}"
_CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="jobs",
    cls=Verbs,
    help="Sends workloads to Azure Batch, watches them, brings results back.",
    no_args_is_help=True,
    context_settings=_CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
run_app = typer.Typer(
    context_settings=_CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

VERBS: dict[str, Callable[..., None]] = {
    "run": run,
    "submit": submit,
    "validate": validate,
    "build": build,
    "stage": stage,
    "publish": publish,
    "wait": wait,
    "resume": resume,
    "rerun": rerun,
    "status": status,
    "explain": explain,
    "list": list_jobs,
    "logs": logs,
    "collect": collect,
    "report": report,
    "costs": costs,
    "cancel": cancel,
    "clean": clean,
    "doctor": doctor,
}
for name, verb in VERBS.items():
    app.command(name, cls=VerbCommand)(verb)


@app.command(cls=VerbCommand)
def completion(
    shell: Annotated[str, typer.Argument(help="bash or zsh.", metavar="SHELL")] = "bash",
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Print a completion script for a shell.

    It completes verbs, options, jobs under the result directory, their stages and tasks.

    For example:

      source <(python -m jobs completion bash)
    """
    with command(json_output, quiet, verbose, color) as terminal:
        if shell not in SHELLS:
            raise typer.BadParameter(f"{shell!r} is not one of {', '.join(SHELLS)}")
        text = script(app, shell)
        terminal.result({"version": 1, "shell": shell, "script": text})
        terminal.show(text.removesuffix("\n"))


app.add_typer(schedule_app)
app.command("watch", cls=VerbCommand, help=_WATCH)(wait)
run_app.command(cls=OnlyVerb)(run)
for program in (app, run_app, schedule_app):
    for registered in program.registered_commands:
        assert registered.callback is not None  # noqa: S101 - each was registered with one
        registered.callback = with_all_flags(registered.callback)


def main() -> None:
    """Runs `python -m jobs`."""
    _end(app, "python -m jobs")


def run_main() -> None:
    """Runs `python -m jobs.run`."""
    _end(run_app, "python -m jobs.run")


def _end(verbs: typer.Typer, name: str) -> None:
    """Runs a command to its end, though a service does not answer threads that asked it."""
    try:
        verbs(prog_name=name)
    except SystemExit as end:
        if not left_behind():
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else EXIT_INPUT)
