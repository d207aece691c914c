"""Options that several verbs have: each with its variable, its help and its type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.durations import parse_duration


def _duration(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


WorkloadArgument = Annotated[
    Path, typer.Argument(help="Workload file, or a directory with a job.yaml.")
]
JobArgument = Annotated[
    str, typer.Argument(help="Job id, its beginning, or `last`.", metavar="JOB")
]
JobOption = Annotated[
    str,
    typer.Option(
        "--job", "-j", envvar="JOBS_JOB", help="Job id, its beginning, or `last`.", metavar="JOB"
    ),
]
TasksArgument = Annotated[
    str,
    typer.Argument(help="Positions (`12`, `1-9:2,12`), ids, `failed` or `all`.", metavar="TASKS"),
]
MaxFailsOption = Annotated[
    int | None,
    typer.Option(
        "--max-fails",
        envvar="JOBS_MAX_FAILS",
        min=1,
        metavar="N",
        help="End the job once N tasks have failed.",
    ),
]
CancelOption = Annotated[
    bool,
    typer.Option(
        "--cancel-on-interrupt",
        envvar="JOBS_CANCEL_ON_INTERRUPT",
        help="Ctrl-C ends the job, too.",
    ),
]
OnFinishOption = Annotated[
    str | None,
    typer.Option(
        "--on-finish",
        envvar="JOBS_ON_FINISH",
        metavar="COMMAND",
        help="Run when the report is made, with JOBS_ID, JOBS_STATE, JOBS_FAILED, JOBS_COST "
        "and JOBS_REPORT; its failure changes nothing.",
    ),
]
NotifyOption = Annotated[
    str | None,
    typer.Option(
        "--notify",
        envvar="JOBS_NOTIFY",
        metavar="URL",
        help="Told by a POST of JSON when the report is made; signed with JOBS_NOTIFY_SECRET.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", envvar="JOBS_YES", help="Do not ask.")]
ConfirmAboveOption = Annotated[
    float | None,
    typer.Option(
        "--confirm-above",
        envvar="JOBS_CONFIRM_ABOVE",
        min=0,
        metavar="AMOUNT",
        help="Ask first if the pool's nodes may cost more than this an hour.",
    ),
]
NoInputOption = Annotated[
    bool,
    typer.Option("--no-input", envvar="JOBS_NO_INPUT", help="Never ask: refuse without --yes."),
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", "-s", envvar="JOBS_STACK", help="Name of the stack.", metavar="NAME"),
]
OutputsOption = Annotated[
    Path | None,
    typer.Option(
        envvar="JOBS_OUTPUTS",
        help="File with the stack's outputs, in place of --stack.",
        metavar="FILE",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Value for a variable of the file; may be repeated.", metavar="NAME=VALUE"
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(envvar="JOBS_OUT", help="Where result trees are.", metavar="DIR"),
]
JsonOption = Annotated[
    bool, typer.Option("--json", envvar="JOBS_JSON", help="One JSON object on stdout.")
]
JsonLinesOption = Annotated[
    bool, typer.Option("--json", envvar="JOBS_JSON", help="A JSON object a line on stdout.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", envvar="JOBS_QUIET", help="No notes, no progress.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", envvar="JOBS_VERBOSE", help="Tell about retries too.")
]
ColorOption = Annotated[
    bool, typer.Option("--color/--no-color", envvar="JOBS_COLOR", help="NO_COLOR works too.")
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        envvar="JOBS_TIMEOUT",
        parser=_duration,
        metavar="TIME",
        help="Stop waiting after this long (10m, 2h); the job goes on, exit code 4.",
    ),
]
JobIdOption = Annotated[
    str | None,
    typer.Option(help="The job's id; by default name, time and chance.", metavar="ID"),
]
