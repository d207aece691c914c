"""The verb that lists jobs: list."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.command import command
from jobs.client import Client
from jobs.durations import spoken
from jobs.listing import FIELDS, LATE, JobRow, parse_fields
from jobs.looks import moment_of
from jobs.options import (
    ColorOption,
    JsonOption,
    OutOption,
    OutputsOption,
    QuietOption,
    SinceOption,
    StackOption,
    VerboseOption,
)
from jobs.prices import money
from jobs.results import DEFAULT_ROOT

_TITLES = {"job_id": "job", "duration_s": "duration", "created": "created UTC"}
_WHOLE = frozenset({"job_id", "outcome", "duration_s", "cost", "created"})
_RECENT = timedelta(days=180)
_NUMBERS = frozenset({"tasks", "succeeded", "failed", "duration_s", "cost"})


def list_jobs(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    fields: Annotated[
        str | None,
        typer.Option("--fields", help=f"Which of {', '.join(FIELDS)}, tag.NAME.", metavar="A,B"),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            help="Only those with TEXT in a field; may be repeated.",
            metavar="FIELD=TEXT",
        ),
    ] = None,
    since: SinceOption = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="A row a job with commas, a header first.")
    ] = False,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """List the jobs of a stack, and what became of them.

    Those that were submitted from workload files. The cost is that of the last report of a
    job's end, where that lies in its result tree.

    For example:

      python -m jobs list --stack dev --since 2d --filter outcome=failed

      python -m jobs list --stack dev --fields job_id,tasks,ended --csv

      python -m jobs list --stack dev --filter tag.project=fraud
    """
    with command(json_output, quiet, verbose, color) as terminal:
        names = parse_fields(fields)
        rows = Client(stack=stack, outputs=outputs, out=out).list(
            filters or (), since=since, outcomes=json_output or not LATE.isdisjoint(names)
        )
        terminal.result({"version": 1, "jobs": [asdict(row) for row in rows]})
        if csv:
            terminal.table(names, ([row.text(name) for name in names] for row in rows))
            return
        table = Table(box=None, padding=(0, 1, 0, 0))
        for name in names:
            # Other verbs need the whole id, on however narrow a terminal.
            whole = max((len(row.text(name)) for row in rows), default=0)
            table.add_column(
                _TITLES.get(name, name),
                no_wrap=name in _WHOLE,
                min_width=whole if name == "job_id" else None,
                justify="right" if name in _NUMBERS else "left",
            )
        for row in rows:
            table.add_row(*(Text(_shown(name, row)) for name in names))
        terminal.show(table if rows else "no jobs")


def _moment(text: str) -> str:
    """A moment in a narrow column: without its year, or, long ago, without its time of day."""
    moment = moment_of(text)
    recent = abs(datetime.now(UTC) - moment) < _RECENT
    return f"{moment:%m-%d %H:%M}" if recent else f"{moment:%Y-%m-%d}"


def _shown(name: str, row: JobRow) -> str:
    """A field as a table has it."""
    text = row.text(name)
    if name == "created":
        return _moment(row.created)
    if name == "duration_s" and row.duration_s is not None:
        return spoken(row.duration_s)
    if name == "cost" and row.cost is not None:
        return money(row.cost, row.currency).replace("less than ", "<")
    return text
