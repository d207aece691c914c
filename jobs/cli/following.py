"""Verbs that follow a job: wait, resume, status, list, cancel."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.command import command, known
from jobs.options import (
    ColorOption,
    JobArgument,
    JsonOption,
    OutOption,
    OutputsOption,
    QuietOption,
    StackOption,
    TimeoutOption,
    VerboseOption,
)
from jobs.plan import META_SUBMISSION, META_TASKS, META_WORKLOAD
from jobs.results import DEFAULT_ROOT, LAST
from jobs.service import segment
from jobs.session import Session, Target
from jobs.submit import metadata_of
from jobs.watch import Look, Watcher
from jobs.workflow import checked_workload, finish, run_workload


def wait(
    job: JobArgument = LAST,
    timeout: TimeoutOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Watch a job to its end.

    Then as `run`: collects, merges, checks and reports.
    """
    with command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = known(job, out, timeout_s=timeout)
        checked = checked_workload(options)
        session = Session(stack=checked.stack)
        code = finish(checked, session, tree, options, terminal, job_id=manifest.job_id)
    raise typer.Exit(code)


def resume(
    job: JobArgument = LAST,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave once everything is submitted.")
    ] = False,
    timeout: TimeoutOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Finish a submission that was cut short.

    Adds the tasks that are missing, then goes on as `run`.
    """
    with command(json_output, quiet, verbose, color) as terminal:
        _, _, options = known(job, out, timeout_s=timeout, detach=detach, resume=True)
        code = run_workload(options, terminal)
    raise typer.Exit(code)


def status(
    job: JobArgument = LAST,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Show where a job stands, once."""
    with command(json_output, quiet, verbose, color) as terminal:
        manifest, _, options = known(job, out)
        session = Session(stack=options.target.load())
        look = Watcher(service=session.service, job_id=manifest.job_id).look()
        terminal.result({"version": 1, "job_id": manifest.job_id, **_look_json(look)})
        terminal.show(_status_table(manifest.job_id, look))


def list_jobs(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """List the jobs of a stack.

    Those that were submitted from workload files.
    """
    with command(json_output, quiet, verbose, color) as terminal:
        session = Session(stack=Target(stack=stack, outputs=outputs).load())
        rows = [
            {
                "job_id": item["id"],
                "workload": metadata[META_WORKLOAD],
                "state": item["state"],
                "tasks": int(metadata.get(META_TASKS, 0)),
                "submission": metadata.get(META_SUBMISSION, ""),
                "created": item["creationTime"],
            }
            for item in session.service.pages(
                "/jobs", "listing jobs", **{"$select": "id,state,creationTime,metadata"}
            )
            if META_WORKLOAD in (metadata := metadata_of(item))
        ]
        rows.sort(key=lambda row: str(row["created"]))
        terminal.result({"version": 1, "jobs": rows})
        table = Table("job", "state", "tasks", "submission", "created (UTC)", box=None)
        for row in rows:
            table.add_row(
                *(Text(str(row[key])) for key in ("job_id", "state", "tasks", "submission")),
                Text(str(row["created"])[:19].replace("T", " ")),
            )
        terminal.show(table if rows else "no jobs")


def cancel(
    job: JobArgument = LAST,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """End a job.

    Its running tasks are stopped, its waiting ones never run.
    """
    with command(json_output, quiet, verbose, color) as terminal:
        manifest, _, options = known(job, out)
        session = Session(stack=options.target.load())
        path = f"/jobs/{segment(manifest.job_id)}/terminate"
        body = {"terminateReason": "CanceledByUser"}
        session.service.call("POST", path, f"ending job {manifest.job_id}", body=body)
        terminal.result({"version": 1, "job_id": manifest.job_id, "canceled": True})
        terminal.show(f"{manifest.job_id}: is being ended; what it left: python -m jobs collect")


def _look_json(look: Look) -> dict[str, Any]:
    return {
        "state": look.job_state,
        "total": look.total,
        "waiting": look.waiting,
        "running": look.running,
        "succeeded": look.succeeded,
        "failed": look.failed,
        "over": look.over,
        "reasons": list(look.reasons),
        "nodes": dict(look.pool.nodes) if look.pool is not None else {},
    }


def _status_table(job_id: str, look: Look) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("job", Text(f"{job_id} ({look.job_state})"))
    table.add_row(
        "tasks",
        f"{look.total}: {look.waiting} waiting, {look.running} running, "
        f"{look.succeeded} succeeded, {look.failed} failed",
    )
    if look.pool is not None:
        nodes = ", ".join(f"{n} {state}" for state, n in sorted(look.pool.nodes.items()))
        table.add_row("nodes", f"{nodes or 'none'}; {look.pool.target} wanted")
    for reason in look.reasons:
        table.add_row("why", Text(reason))
    return table
