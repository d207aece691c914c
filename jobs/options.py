"""Options that several verbs have, each with its help and its type; and their variables.

Every option of every verb is a variable, too: `VerbCommand` names it after the option's
longest name (`--max-fails`: `JOBS_MAX_FAILS`). Two names are taken, by what a command of
`--on-finish` finds in its environment: those options have others.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from jobs.advice import WARNING_CODES
from jobs.durations import parse_duration

_TAKEN = {
    "JOBS_REPORT": "JOBS_REPORT_FILE",
    "JOBS_FAILED": "JOBS_ONLY_FAILED",
    "JOBS_VERSION": "JOBS_PUBLISH_VERSION",
    "JOBS_DEFAULT": "JOBS_PUBLISH_DEFAULT",
}


_OF_JOBS = frozenset({"job", "jobs"})
"""Parameters that mean jobs which are there."""


class VerbCommand(TyperCommand):
    """A verb whose every option is a variable, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As typer's own; then names the variables."""
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.envvar is None:
                parameter.envvar = variable_of(parameter.opts)
                if parameter.multiple:
                    words = partial(_words, parameter.envvar)
                    parameter.split_envvar_value = words  # type: ignore[method-assign] # typer makes the options, and would split at every blank

    def invoke(self, ctx: Any) -> Any:
        """As typer's own; a flag that names the stack goes before a variable that does.

        A job that is there has a stack of its own, which no variable changes.

        `ctx` is click's context, which typer brings with it under a name of its own.
        """
        ways = [name for name in ("stack", "outputs") if ctx.params.get(name) is not None]
        by = {name: ctx.get_parameter_source(name).name for name in ways}
        if set(by.values()) == {"COMMANDLINE", "ENVIRONMENT"}:
            for name, source in by.items():
                if source == "ENVIRONMENT":
                    ctx.params[name] = None
        if _OF_JOBS & ctx.params.keys():
            ctx.params.update({name: None for name in ways if by[name] == "ENVIRONMENT"})
        return super().invoke(ctx)


def variable_of(names: list[str]) -> str:
    """The variable of an option: `JOBS_MAX_FAILS` of `--max-fails`."""
    word = max(names, key=len).lstrip("-").replace("-", "_").upper()
    return _TAKEN.get(f"JOBS_{word}", f"JOBS_{word}")


def _words(variable: str, text: str) -> list[str]:
    """Several values in a variable, as a shell would split them: `title="a b" n=1`."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{variable} is several values with blanks between, quoted as in a shell "
            f"(title='a b' n=1), and cannot be split: {error}"
        ) from error


def parse_timeout(text: str) -> float:
    """Seconds of a duration; a number alone is seconds, as in a workload file.

    Raises:
        BadParameter: It is none.
    """
    bare = text.isascii() and text.isdecimal()
    try:
        return parse_duration(f"{text}s" if bare else text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_ONE_JOB = "Job id, its beginning, `last`, or a number counted from the last (`1`)"

WorkloadArgument = Annotated[
    Path,
    typer.Argument(help="Workload file, or a directory with a job.yaml.", metavar="WORKLOAD"),
]
JobArgument = Annotated[str, typer.Argument(help=f"{_ONE_JOB}.", metavar="JOB")]
JobOption = Annotated[
    str,
    typer.Option("--job", "-j", help=f"{_ONE_JOB}.", metavar="JOB"),
]
JobsArgument = Annotated[
    str,
    typer.Argument(
        help="Job ids or beginnings, `last`, `all`, or numbers counted from the last (`1-3`).",
        metavar="JOBS",
    ),
]
TasksArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Positions (`12`, `1-9:2`, `sim/3`), stages, ids, `failed` or `all`.",
        metavar="TASKS",
        show_default=False,
    ),
]
MaxFailsOption = Annotated[
    int | None,
    typer.Option(
        "--max-fails",
        min=1,
        metavar="N",
        help="End the job once N tasks have failed.",
    ),
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        min=0,
        metavar="AMOUNT",
        help="End the job once it has cost so much, by the time of nodes that run its tasks.",
    ),
]
FirstOption = Annotated[
    int | None,
    typer.Option(
        "--first",
        min=1,
        metavar="N",
        help="Submit N tasks (of each stage as far as they can run), wait for them, then ask; "
        "--yes goes on if all succeeded.",
    ),
]
OnceOption = Annotated[
    bool,
    typer.Option("--once", help="Run a file with a `schedule` as one job, now."),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        help=f"Do not warn of this: {', '.join(WARNING_CODES)}; may be repeated.",
        metavar="CODE",
    ),
]
FailOnOption = Annotated[
    str,
    typer.Option(
        "--fail-on",
        help="What exit code 2 is for: error, or warning for both.",
        metavar="WHAT",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write the report to FILE, too: .html, .csv or .json.",
    ),
]
ProgressOption = Annotated[
    str,
    typer.Option(
        "--progress",
        metavar="STYLE",
        help="How the job is shown on stderr: auto, plain (lines), json (an object a change) "
        "or none.",
    ),
]
CancelOption = Annotated[
    bool,
    typer.Option(
        "--cancel-on-interrupt",
        help="Ctrl-C, or SIGTERM, ends the job, too.",
    ),
]
OnFinishOption = Annotated[
    str | None,
    typer.Option(
        "--on-finish",
        metavar="COMMAND",
        help="Run by /bin/sh when the report is made, with JOBS_ID, JOBS_STATE, JOBS_FAILED, "
        "JOBS_UNFINISHED, JOBS_COST and JOBS_REPORT; its failure changes nothing.",
    ),
]
NotifyOption = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="URL",
        help="Told by a POST of JSON when the report is made; signed with JOBS_NOTIFY_SECRET. "
        "`teams+URL`: a card for a Teams channel.",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Not from before: how long ago (2h, 3d), or a date."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ConfirmAboveOption = Annotated[
    float | None,
    typer.Option(
        "--confirm-above",
        min=0,
        metavar="AMOUNT",
        help="Ask first if the pool's nodes may cost more than this an hour.",
    ),
]
NoInputOption = Annotated[
    bool,
    typer.Option("--no-input", help="Never ask: refuse without --yes."),
]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", "-s", help="Name of the stack.", metavar="NAME"),
]
OutputsOption = Annotated[
    Path | None,
    typer.Option(
        help="File with the stack's outputs, in place of --stack.",
        metavar="FILE",
    ),
]
OfStackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        help="The job's stack, by another name than when it was submitted.",
        metavar="NAME",
        show_envvar=False,
    ),
]
OfOutputsOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs",
        help="The job's stack, by a file of its outputs.",
        metavar="FILE",
        show_envvar=False,
    ),
]
OnStackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        help="Only jobs that are on this stack.",
        metavar="NAME",
        show_envvar=False,
    ),
]
OnOutputsOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs",
        help="Only jobs that are on the stack with these outputs.",
        metavar="FILE",
        show_envvar=False,
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
    typer.Option(help="Where result trees are.", metavar="DIR"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="A JSON object a line on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes, no progress.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Tell about retries too.")]
ColorOption = Annotated[bool, typer.Option("--color/--no-color", help="NO_COLOR works too.")]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        parser=parse_timeout,
        metavar="TIME",
        help="Stop waiting after this long (30, 10m, 2h); the job goes on, exit code 4.",
    ),
]
JobIdOption = Annotated[
    str | None,
    typer.Option(
        help="The job's id; by default name, time and chance. With a schedule: its id, by default "
        "the name.",
        metavar="ID",
    ),
]
ScheduleIdOption = Annotated[
    str | None,
    typer.Option(
        "--job-id",
        help="The schedule's id; by default the name in the file.",
        metavar="ID",
    ),
]
