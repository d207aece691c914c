"""Verbs that bring home what a job left: collect, report."""

from __future__ import annotations

import typer

from jobs.cli.command import command, known
from jobs.errors import EXIT_OK, EXIT_TASK_FAILED
from jobs.options import (
    ColorOption,
    JobArgument,
    JsonOption,
    OutOption,
    QuietOption,
    VerboseOption,
)
from jobs.report import report_table
from jobs.results import DEFAULT_ROOT, LAST
from jobs.session import Session
from jobs.watch import Watcher
from jobs.workflow import bring_home, checked_workload, failed_tasks, note_collected, report_on


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
        collected = bring_home(manifest.job_id, session, tree)
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


def report(
    job: JobArgument = LAST,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Report time, tasks and cost so far.

    Exit code 1 if a task failed.
    """
    with command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = known(job, out)
        checked = checked_workload(options)
        session = Session(stack=checked.stack)
        watcher = Watcher(service=session.service, job_id=manifest.job_id)
        made = report_on(watcher, watcher.look(), checked, tree)
        terminal.result({"version": 1, "results": str(tree.root), "report": made.as_json()})
        terminal.show(report_table(made))
        if made.failed:
            terminal.error(str(failed_tasks(made, tree, options)))
    raise typer.Exit(EXIT_TASK_FAILED if made.failed else EXIT_OK)
