"""The verb that counts over several jobs: costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.command import command
from jobs.costs import COLUMNS, Cost, Costs, checked_by, costs_of
from jobs.durations import spoken
from jobs.elsewhere import trees_on
from jobs.job import open_job
from jobs.job_ids import ALL
from jobs.options import (
    ColorOption,
    JobsArgument,
    JsonOption,
    OnOutputsOption,
    OnStackOption,
    OutOption,
    QuietOption,
    VerboseOption,
)
from jobs.prices import money
from jobs.results import DEFAULT_ROOT, ResultTree
from jobs.schedule_jobs import find_trees
from jobs.session import Target


def costs(
    jobs: JobsArgument = ALL,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="What a row is of: job, stage, pool, workload, or tag.NAME.",
            metavar="WHAT",
        ),
    ] = "job",
    csv: Annotated[
        bool, typer.Option("--csv", help="Rows with commas, a header first, no totals.")
    ] = False,
    stack: OnStackOption = None,
    outputs: OnOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Tell what jobs took and cost, together.

    Those that were submitted from here. A job that is not over is reported on anew.

    For example:

      python -m jobs costs --by tag.project

      python -m jobs costs 1-20 --by stage --csv

      python -m jobs costs --stack prod --by pool
    """
    with command(json_output, quiet, verbose, color) as terminal:
        checked_by(by)

        def reported(tree: ResultTree) -> dict[str, object]:
            terminal.note(f"reporting on {tree.root.name}")
            return open_job(tree.root.name, out).report(or_kept=False).report.as_json()

        trees = trees_on(find_trees(jobs, out), Target(stack=stack, outputs=outputs))
        found = costs_of(trees, by, reported)
        terminal.result({"version": 1, **asdict(found)})
        if csv:
            terminal.table((by, *COLUMNS), (_cells(row) for row in found.rows))
        else:
            terminal.show(_table(found))
        for job in found.stale:
            terminal.note(f"gone before its end was seen, as last reported: {job}")
        for job, why in found.left_out.items():
            terminal.note(f"left out: {job}: {why}")


def _cells(row: Cost) -> list[str]:
    values = asdict(row)
    return [row.of, *(str(values[name]) for name in COLUMNS)]


def _table(found: Costs) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(found.by, overflow="fold", no_wrap=found.by == "job")
    for title in ("jobs", "tasks", "failed", "run time", "cost"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(Text(row.of or "-"), *_figures(row))
    for row in found.total:
        table.add_row(Text("total", style="bold"), *_figures(row), style="bold")
    return table


def _figures(row: Cost) -> list[str]:
    known = money(row.cost, row.currency)
    unknown = f"{row.unpriced:,} unknown"
    cost = known if not row.unpriced else (
        f"{known}, {unknown}" if row.unpriced < row.jobs else unknown
    )  # fmt: skip
    return [f"{row.jobs:,}", f"{row.tasks:,}", f"{row.failed:,}", spoken(row.task_s), cost]
