"""Verbs that bring home what a job left: collect, logs, report."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.command import command, known
from jobs.errors import EXIT_OK, EXIT_TASK_FAILED, InputError, shown
from jobs.logs import SOURCES, LogLine, LogReader, searched
from jobs.options import (
    ColorOption,
    JobArgument,
    JobOption,
    JsonLinesOption,
    JsonOption,
    OutOption,
    QuietOption,
    TasksArgument,
    VerboseOption,
)
from jobs.report_text import report_table, stage_table
from jobs.reporting import link_to, report_on
from jobs.reportpage import write_page
from jobs.results import DEFAULT_ROOT, LAST
from jobs.selection import ALL, Selection, parse_selection, position
from jobs.session import Session
from jobs.task_table import write_csv
from jobs.terminal import Terminal
from jobs.watch import Watcher
from jobs.workflow import bring_home, checked_workload, failed_tasks, note_collected


def collect(
    job: JobArgument = LAST,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Download what a job has left so far.

    Outputs and logs, only what is new.
    """
    with command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = known(job, out)
        session = Session(stack=options.target.load())
        collected = bring_home(manifest, session, tree)
        note_collected(collected, tree, terminal)
        terminal.result(
            {
                "version": 1,
                "job_id": manifest.job_id,
                "results": str(tree.root),
                "files": collected.files,
                "fetched": collected.fetched,
                "bytes_fetched": collected.bytes_fetched,
                "refused": list(collected.refused),
            }
        )
        terminal.show(str(tree.root))


def logs(
    tasks: TasksArgument = ALL,
    job: JobOption = LAST,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the tasks have ended.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            envvar="JOBS_TAIL", min=0, help="Only the last N lines of each.", metavar="N"
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(envvar="JOBS_SEARCH", help="Only lines that match.", metavar="REGEX"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(envvar="JOBS_SOURCE", help="Only stdout or only stderr.", metavar="NAME"),
    ] = None,
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
        if source is not None and source not in SOURCES:
            raise InputError(f"--source {source!r} is neither stdout nor stderr")
        selection = parse_selection(tasks)
        manifest, tree, options = known(job, out)
        session = Session(stack=options.target.load())
        reader = LogReader(
            service=session.service,
            job_id=manifest.current,
            tree=tree,
            container=session.container(session.stack.logs_container),
        )
        sources = SOURCES if source is None else (source,)
        if follow:
            lines = reader.follow(selection, sources, tail=tail)
        else:
            lines = _lines_of(reader, selection, sources, tail, terminal)
        if search is not None:
            lines = searched(lines, search)
        alone = len(selection.ranges or ()) == 1 and len((selection.ranges or ((),))[0]) == 1
        for line in lines:
            terminal.record({"task": line.task, "source": line.source, "line": line.text})
            terminal.line(
                line.text if alone else f"{position(line.task)} {line.source}| {line.text}"
            )


def _lines_of(
    reader: LogReader,
    selection: Selection,
    sources: tuple[str, ...],
    tail: int | None,
    terminal: Terminal,
) -> Iterator[LogLine]:
    """What there is now, task by task; a selection without a task is said."""
    none = True
    for task in reader.tasks(selection):
        none = False
        for source in sources:
            lines = reader.lines(task, source)
            yield from lines if tail is None else deque(lines, maxlen=tail)
    if none:
        terminal.note("no task failed" if selection.failed else "no such task")


def report(
    job: JobArgument = LAST,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Write it as one page that needs nothing else.", metavar="FILE"
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Write a row a task; the page links to it.", metavar="FILE"),
    ] = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Report time, tasks and cost so far.

    Kept in the result tree as report.json, report.html and tasks.csv, too. Exit code 1 if
    a task failed.

    For example:

      python -m jobs report mc-7f3a --html report.html --csv tasks.csv
    """
    with command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = known(job, out)
        checked = checked_workload(options)
        session = Session(stack=checked.stack)
        watcher = Watcher(service=session.service, job_id=manifest.current, statistics=True)
        reported = report_on(watcher, watcher.look(), checked, tree)
        if csv is not None:
            write_csv(csv, reported.rows())
        if html is not None:
            write_page(html, reported.page(csv=link_to(csv or tree.tasks_file, html)))
        made = reported.report
        terminal.result(
            {
                "version": 1,
                "results": str(tree.root),
                "page": str(html or tree.page_file),
                "report": made.as_json(),
            }
        )
        terminal.show(*(part for part in (report_table(made), stage_table(made)) if part))
        terminal.note(f"page: {shown(html or tree.page_file)}")
        if made.failed:
            terminal.error(str(failed_tasks(made, tree, options)))
    raise typer.Exit(EXIT_TASK_FAILED if made.failed else EXIT_OK)
