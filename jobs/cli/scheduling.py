"""Verbs for schedules: `python -m jobs schedule VERB`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.command import command
from jobs.client import Client
from jobs.consent import Consent
from jobs.describe import describe
from jobs.job_ids import written_id
from jobs.job_schedules import FIELDS, JobSchedule, as_json, deletion_lines, open_schedule
from jobs.options import (
    ColorOption,
    ConfirmAboveOption,
    JsonOption,
    NoInputOption,
    OutOption,
    OutputsOption,
    QuietOption,
    ScheduleIdOption,
    SetOption,
    StackOption,
    VerbCommand,
    VerboseOption,
    WorkloadArgument,
    YesOption,
)
from jobs.results import DEFAULT_ROOT
from jobs.run_options import RunOptions
from jobs.scheduling import schedule_workload
from jobs.session import Target
from jobs.terminal import Terminal

ScheduleArgument = Annotated[
    str, typer.Argument(help="The schedule's id.", metavar="SCHEDULE", show_default=False)
]
_TITLES = {
    "schedule_id": "schedule",
    "next_run": "next job (UTC)",
    "last_job": "last job",
    "created": "created (UTC)",
}
_LISTED = ("schedule_id", "state", "every", "next_run", "last_job")
_JOB_FIELDS = ("job_id", "outcome", "tasks", "ended", "created")

schedule_app = typer.Typer(
    name="schedule",
    help="Look at schedules, change, pause and delete them. To submit one: run.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@schedule_app.command("list", cls=VerbCommand)
def list_schedules(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """List the schedules of a stack.

    Those that were submitted from workload files.

    For example:

      python -m jobs schedule list --stack dev
    """
    with command(json_output, quiet, verbose, color) as terminal:
        found = Client(stack=stack, outputs=outputs).schedules()
        rows = [asdict(row) for row in found]
        terminal.result({"version": 1, "schedules": rows})
        _show_table(_LISTED, rows, terminal, nothing="no schedules")


@schedule_app.command("show", cls=VerbCommand)
def show(
    context: typer.Context,
    schedule: ScheduleArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Show a schedule: when its next job comes, and the jobs that it made.

    For example:

      python -m jobs schedule show nightly
    """
    with command(json_output, quiet, verbose, color) as terminal:
        found = _opened(context, schedule, stack, outputs, out)
        row, jobs = found.status(), [asdict(job) for job in found.jobs()]
        terminal.result({"version": 1, **as_json(row), "jobs": jobs})
        table = Table.grid(padding=(0, 2))
        for name in FIELDS:
            shown = _shown(name, getattr(row, name)) or "none"
            table.add_row(_TITLES.get(name, name), Text(shown))
        terminal.show(table, "")
        _show_table(_JOB_FIELDS, jobs, terminal, nothing="no job yet")


@schedule_app.command("update", cls=VerbCommand)
def update(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show the jobs; send nothing, ask nobody.")
    ] = False,
    confirm_above: ConfirmAboveOption = None,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    job_id: ScheduleIdOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Let the next jobs of a schedule be those of a workload file.

    Builds and stages as `run`. The schedule is the one that is called as the workload in the
    file; --job-id names another. Jobs that it has made already stay as they are.

    For example:

      python -m jobs schedule update job.yaml --stack dev
    """
    with command(json_output, quiet, verbose, color) as terminal:
        options = RunOptions(
            workload=workload,
            target=Target(stack=stack, outputs=outputs),
            overrides=tuple(variables or ()),
            out=out,
            consent=Consent(above=confirm_above, yes=yes, no_input=no_input),
            job_id=None if job_id is None else written_id(job_id),
        )
        code = (
            describe(options, terminal)
            if dry_run
            else schedule_workload(options, terminal, update=True)
        )
    raise typer.Exit(code)


@schedule_app.command("pause", cls=VerbCommand)
def pause(
    context: typer.Context,
    schedule: ScheduleArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Let a schedule make no more jobs until it is resumed.

    The job that runs goes on; to end it: cancel.

    For example:

      python -m jobs schedule pause nightly
    """
    with command(json_output, quiet, verbose, color) as terminal:
        found = _opened(context, schedule, stack, outputs, out)
        changed = found.pause()
        _say(found, "paused" if changed else "was paused before", changed, terminal)


@schedule_app.command("resume", cls=VerbCommand)
def resume(
    context: typer.Context,
    schedule: ScheduleArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Let a paused schedule make jobs again.

    For example:

      python -m jobs schedule resume nightly
    """
    with command(json_output, quiet, verbose, color) as terminal:
        found = _opened(context, schedule, stack, outputs, out)
        changed = found.resume()
        _say(found, "resumed" if changed else "was not paused", changed, terminal)


@schedule_app.command("delete", cls=VerbCommand)
def delete(
    context: typer.Context,
    schedule: ScheduleArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show what would be removed.")
    ] = False,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Remove a schedule, with its jobs in Batch; also one that runs.

    Shows first what that is, and asks. What its jobs left in storage stays: collect and
    clean take it from there.

    For example:

      python -m jobs schedule delete nightly --dry-run
    """
    with command(json_output, quiet, verbose, color) as terminal:
        found = _opened(context, schedule, stack, outputs, out)
        row, jobs = found.status(), found.states()
        for line in deletion_lines(row, jobs):
            terminal.line(line)
        removed = False
        if not dry_run:
            if terminal.agreed("Remove it?", yes=yes, no_input=no_input):
                found.delete()
                removed = True
            terminal.note("removed" if removed else "nothing was removed")
        terminal.result(
            {
                "version": 1,
                "schedule_id": found.id,
                "removed": removed,
                "jobs": list(jobs),
            }
        )


def _opened(
    context: typer.Context, schedule: str, stack: str | None, outputs: Path | None, out: Path
) -> JobSchedule:
    """A schedule; variables that name a stack are for one that was not submitted from here."""
    named = Target(stack=stack, outputs=outputs)
    ways = [name for name, value in (("stack", stack), ("outputs", outputs)) if value is not None]
    sources = {str(getattr(context.get_parameter_source(way), "name", "")) for way in ways}
    if "COMMANDLINE" in sources:
        return open_schedule(written_id(schedule), named, out)
    return open_schedule(written_id(schedule), None, out, usual=named)


def _say(found: JobSchedule, what: str, changed: bool, terminal: Terminal) -> None:
    row = found.status()
    terminal.result({"version": 1, "changed": changed, **as_json(row)})
    when = f"; its next job: {_shown('next_run', row.next_run)} UTC" if row.next_run else ""
    terminal.show(f"{found.id}: {what}{when}")


def _show_table(
    names: Sequence[str], rows: Sequence[dict[str, object]], terminal: Terminal, *, nothing: str
) -> None:
    if not rows:
        terminal.show(nothing)
        return
    table = Table(box=None, pad_edge=False)
    for name in names:
        # Other verbs need the whole id, on however narrow a terminal.
        whole = name in {"schedule_id", "job_id", "last_job"}
        width = max(len(str(row[name])) for row in rows) if whole else None
        table.add_column(_TITLES.get(name, name), no_wrap=whole, min_width=width)
    for row in rows:
        table.add_row(*(Text(_shown(name, row[name])) for name in names))
    terminal.show(table)


def _shown(name: str, value: object) -> str:
    is_moment = name in {"created", "next_run"}
    return str(value)[:16].replace("T", " ") if is_moment else str(value)
