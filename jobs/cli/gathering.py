"""Verbs that bring home what a job left: collect, logs, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.answer import stale_error
from jobs.cli.command import command, tasks_of
from jobs.collect import Collected, incomplete
from jobs.errors import EXIT_OK, EXIT_TASK_FAILED, InputError, shown
from jobs.going_on import options_of
from jobs.gone import Gone, KeptReport, require_there
from jobs.job import open_job
from jobs.job_ids import LAST
from jobs.logs import ALL_SOURCES, LogLine
from jobs.options import (
    ColorOption,
    JobArgument,
    JobOption,
    JobsArgument,
    JsonLinesOption,
    JsonOption,
    OfOutputsOption,
    OfStackOption,
    OutOption,
    QuietOption,
    SinceOption,
    TasksArgument,
    VerboseOption,
)
from jobs.report_text import report_table, stage_table
from jobs.reporting import Reported, link_to
from jobs.reportpage import write_page
from jobs.results import DEFAULT_ROOT, ResultTree, names_several
from jobs.schedule_jobs import find_tree, find_trees
from jobs.selection import ALL, parse_selection, position
from jobs.session import Target
from jobs.stages import shown_task
from jobs.stale import stale_of
from jobs.task_table import write_csv
from jobs.transfer import counting
from jobs.verdict import failed_tasks, note_collected, note_unmatched

_STDOUT = Path("-")
_NOTHING_COLLECTED = {"files": 0, "fetched": 0, "bytes_fetched": 0, "refused": [], "warnings": []}


def collect(
    jobs: JobsArgument = LAST,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Download what jobs have left so far.

    Outputs and logs, only what is new. Exit code 1 if the name of one keeps it from being
    written. Of several jobs those that were cleaned are passed over.

    For example:

      python -m jobs collect

      python -m jobs collect 1-3 --out elsewhere
    """
    with command(json_output, quiet, verbose, color) as terminal:
        target = Target(stack=stack, outputs=outputs)
        rows: list[dict[str, Any]] = []
        total = Collected(files=0, fetched=0, bytes_fetched=0, refused=())
        several = names_several(jobs, out)
        for tree in find_trees(jobs, out, target):
            if several and tree.read_manifest().cleaned:
                gone = Gone.of(tree)
                terminal.note(f"{gone.manifest.job_id} {gone.text}")
                rows.append({**gone.as_json(), **_NOTHING_COLLECTED})
                continue
            require_there(tree)
            found = open_job(tree.root.name, out, target)
            with counting(terminal, "collected") as progress:
                collected = found.collect(progress)
            note_collected(collected, tree, terminal)
            unmatched = note_unmatched(collected, tree, terminal)
            stale = stale_of(found.manifest)
            total += collected
            rows.append(
                {
                    "job_id": found.id,
                    "results": str(tree.root),
                    "files": collected.files,
                    "fetched": collected.fetched,
                    "bytes_fetched": collected.bytes_fetched,
                    "refused": list(collected.refused),
                    "warnings": [str(warning) for warning in unmatched],
                    "gone": collected.gone,
                    "stale": stale.as_json(),
                }
            )
            if stale:
                terminal.note(f"warning: {stale_error(stale, tree)}")
            terminal.show(str(tree.root))
        terminal.result({"version": 1, **({"jobs": rows} if several else rows[0])})
        if (failure := incomplete(total)) is not None:
            raise failure


def logs(
    tasks: TasksArgument = None,
    job: JobOption = LAST,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the tasks have ended.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(min=0, help="Only the last N lines of each.", metavar="N"),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(help="Only lines that match.", metavar="REGEX"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Only stdout, stderr, or coordination: what ran first on each of a task's nodes.",
            metavar="NAME",
        ),
    ] = None,
    since: SinceOption = None,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonLinesOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Show what tasks printed.

    Of ended tasks and of running ones; each line begins with its task's position where
    several are shown.

    For example:

      python -m jobs logs 412

      python -m jobs logs failed --source stderr --tail 5

      python -m jobs logs 0-9 --follow --job mc-7f3a
    """
    with command(json_output, quiet, verbose, color) as terminal:
        if source is not None and source not in ALL_SOURCES:
            raise InputError(f"--source {source!r} is not one of {', '.join(ALL_SOURCES)}")
        named = tasks_of(tasks, out)
        wanted = ALL if named is None else named
        parse_selection(wanted)
        found = open_job(job, out, Target(stack=stack, outputs=outputs))
        selection, stages = found.selection(wanted), found.manifest.stages
        none = True
        alone = sum(map(len, selection.ranges or ())) == 1 and not selection.prefixes
        for line in found.logs(
            wanted,
            sources=ALL_SOURCES if source is None else (source,),
            follow=follow,
            tail=tail,
            search=search,
            since=since,
        ):
            none = False
            name = shown_task(line.task, stages) if stages else str(position(line.task))
            terminal.record(_line_json(line, name))
            terminal.line(_line_text(line, "" if alone else name))
        if none and search is None and not found.has_task(wanted):
            terminal.note("no task failed" if selection.failed else "no such task")


def _line_json(line: LogLine, name: str) -> dict[str, Any]:
    value = {"task": line.task, "name": name, "source": line.source, "line": line.text}
    return value if line.instance is None else {**value, "node": line.instance}


def _line_text(line: LogLine, name: str) -> str:
    """A line with what tells it from those of other tasks and nodes, where there are any."""
    node = "" if line.instance is None else f"node {line.instance}"
    where = " ".join(part for part in (name, node) if part)
    return f"{where} {line.source}| {line.text}" if where else line.text


def report(
    job: JobArgument = LAST,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            help="Write it as one page that needs nothing else; - is standard output.",
            metavar="FILE",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help="Write a row a task; the page links to it. - is standard output.",
            metavar="FILE",
        ),
    ] = None,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Report time, tasks and cost so far.

    Kept in the result tree as report.json, report.html and tasks.csv, too; of a job that
    was cleaned, what is kept there. Exit code 1 if a task failed, or an answer is stale.

    For example:

      python -m jobs report mc-7f3a --html report.html --csv tasks.csv

      python -m jobs report mc-7f3a --csv - | head
    """
    with command(json_output, quiet, verbose, color) as terminal:
        to_stdout = [name for name, path in (("--html", html), ("--csv", csv)) if path == _STDOUT]
        if len(asked := [*to_stdout, *(["--json"] if json_output else [])]) > 1:
            raise InputError(
                f"{' and '.join(asked)} would both be written to standard output: give one a file"
            )
        target = Target(stack=stack, outputs=outputs)
        tree = find_tree(job, out, target)
        reported = _reported(tree, target)
        there = not isinstance(reported, KeptReport)
        if isinstance(reported, KeptReport):
            terminal.note(reported.text)
        if csv == _STDOUT:
            rows = reported.rows()
            terminal.table(rows.columns, rows)
        elif csv is not None:
            write_csv(csv, reported.rows())
        if html == _STDOUT:
            terminal.line(reported.page())
        elif html is not None:
            table = tree.tasks_file if csv is None or csv == _STDOUT else csv
            write_page(html, reported.page(csv=link_to(table, html)))
        made = reported.report
        stale = reported.stale
        page = tree.page_file if html is None or html == _STDOUT else html
        terminal.result(
            {
                "version": 1,
                "results": str(tree.root),
                "page": str(page),
                "report": made.as_json(),
                "stale": stale.as_json(),
                "kept": not there,
            }
        )
        if not to_stdout:
            terminal.show(*(part for part in (report_table(made), stage_table(made)) if part))
        terminal.note(f"page: {shown(page)}")
        if made.failed:
            options = options_of(tree.read_manifest(), tree)
            terminal.error(str(failed_tasks(made, tree, options, there=there)))
        if stale:
            terminal.error(str(stale_error(stale, tree)) if there else stale.text)
    raise typer.Exit(EXIT_TASK_FAILED if made.failed or stale else EXIT_OK)


def _reported(tree: ResultTree, target: Target) -> Reported | KeptReport:
    """The report on a job; of one that was cleaned its stack, which may be gone, is not asked."""
    if tree.read_manifest().cleaned:
        return KeptReport.read(tree)
    return open_job(tree.root.name, tree.root.parent, target).report()
