"""Verbs that follow a job: wait, resume, rerun, status, explain, list, cancel."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.command import command, finishing_of, known
from jobs.errors import InputError
from jobs.explain import Explanation, explain_job, explain_task
from jobs.logs import LogReader
from jobs.options import (
    CancelOption,
    ColorOption,
    JobArgument,
    JobOption,
    JsonOption,
    MaxFailsOption,
    NotifyOption,
    OnFinishOption,
    OutOption,
    OutputsOption,
    QuietOption,
    StackOption,
    TimeoutOption,
    VerboseOption,
)
from jobs.plan import META_SUBMISSION, META_TASKS, META_WORKLOAD
from jobs.rerun import all_ends, chosen, next_job_id
from jobs.results import DEFAULT_ROOT, LAST
from jobs.selection import FAILED, parse_selection, written_positions
from jobs.service import segment
from jobs.session import Session, Target
from jobs.submit import metadata_of
from jobs.terminal import Terminal, counted
from jobs.watch import Look, Watcher
from jobs.workflow import checked_workload, finish, run_workload

MOST_EXPLAINED = 20


def wait(
    job: JobArgument = LAST,
    timeout: TimeoutOption = None,
    max_fails: MaxFailsOption = None,
    cancel_on_interrupt: CancelOption = False,
    on_finish: OnFinishOption = None,
    notify: NotifyOption = None,
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
        manifest, tree, options = known(
            job,
            out,
            timeout_s=timeout,
            finishing=finishing_of(max_fails, cancel_on_interrupt, on_finish, notify),
        )
        checked = checked_workload(options)
        session = Session(stack=checked.stack)
        code = finish(checked, session, tree, options, terminal, job_id=manifest.current)
    raise typer.Exit(code)


def resume(
    job: JobArgument = LAST,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave once everything is submitted.")
    ] = False,
    timeout: TimeoutOption = None,
    max_fails: MaxFailsOption = None,
    cancel_on_interrupt: CancelOption = False,
    on_finish: OnFinishOption = None,
    notify: NotifyOption = None,
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
        _, _, options = known(
            job,
            out,
            timeout_s=timeout,
            detach=detach,
            finishing=finishing_of(max_fails, cancel_on_interrupt, on_finish, notify),
            resume=True,
        )
        code = run_workload(options, terminal)
    raise typer.Exit(code)


def rerun(
    job: JobArgument = LAST,
    failed: Annotated[
        bool, typer.Option("--failed", help="Tasks that failed or never ended (the default).")
    ] = False,
    exit_codes: Annotated[
        list[int] | None,
        typer.Option(
            "--exit-code", help="Failed tasks of this exit code; may be repeated.", metavar="N"
        ),
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option("--tasks", help="These tasks, whatever became of them.", metavar="TASKS"),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave once everything is submitted.")
    ] = False,
    timeout: TimeoutOption = None,
    max_fails: MaxFailsOption = None,
    cancel_on_interrupt: CancelOption = False,
    on_finish: OnFinishOption = None,
    notify: NotifyOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Run failed tasks again.

    In the same result tree, with the program and inputs as they are now. What the tasks
    had left is set aside under attempts/; then as `run`.

    For example:

      python -m jobs rerun

      python -m jobs rerun mc-7f3a --exit-code 137

      python -m jobs rerun --tasks 0-9
    """
    with command(json_output, quiet, verbose, color) as terminal:
        if tasks is not None and (failed or exit_codes):
            raise InputError("--tasks says which tasks: leave --failed and --exit-code out")
        selection = parse_selection(FAILED if tasks is None else tasks)
        manifest, tree, options = known(
            job,
            out,
            timeout_s=timeout,
            detach=detach,
            finishing=finishing_of(max_fails, cancel_on_interrupt, on_finish, notify),
        )
        session = Session(stack=options.target.load())
        watcher = Watcher(service=session.service, job_id=manifest.current)
        look = watcher.look()
        ends = all_ends(manifest, list(watcher.ends.values()), session.service)
        again = chosen(manifest, look, ends, selection, exit_codes or ())
        if not again:
            terminal.note("no task is to be run again")
            terminal.result({"version": 1, "job_id": manifest.job_id, "tasks": 0})
            return
        terminal.note(f"again: {counted(len(again), 'task')} of {manifest.tasks}")
        options = replace(
            options,
            job_id=next_job_id(manifest),
            again=tree,
            only=written_positions(again),
            resume=False,
        )
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
        look = Watcher(service=session.service, job_id=manifest.current).look()
        terminal.result({"version": 1, "job_id": manifest.current, **_look_json(look)})
        terminal.show(_status_table(manifest.current, look))


def explain(
    tasks: Annotated[
        str | None,
        typer.Argument(
            help="Positions, ids or `failed`; the job itself if absent.", metavar="TASKS"
        ),
    ] = None,
    job: JobOption = LAST,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Say why a job or a task is where it is.

    Quota, nodes that fail, start tasks, exit codes, what is waited for. At most 20 tasks.

    For example:

      python -m jobs explain

      python -m jobs explain 412
    """
    with command(json_output, quiet, verbose, color) as terminal:
        selection = None if tasks is None else parse_selection(tasks)
        manifest, tree, options = known(job, out)
        session = Session(stack=options.target.load())
        watcher = Watcher(service=session.service, job_id=manifest.current)
        reader = LogReader(
            service=session.service,
            job_id=manifest.current,
            tree=tree,
            container=session.container(session.stack.logs_container),
        )
        if selection is None:
            explained = [explain_job(watcher, reader)]
        else:
            look = watcher.look()
            chosen = list(islice(reader.tasks(selection), MOST_EXPLAINED + 1))
            explained = [
                explain_task(task.id, watcher, look, reader) for task in chosen[:MOST_EXPLAINED]
            ]
            if len(chosen) > MOST_EXPLAINED:
                terminal.note(f"only the first {MOST_EXPLAINED} are explained")
            if not chosen:
                terminal.note("no task failed" if selection.failed else "no such task")
        terminal.result(
            {
                "version": 1,
                "job_id": manifest.current,
                "explanations": [explanation.as_json() for explanation in explained],
            }
        )
        for explanation in explained:
            _show_explanation(explanation, terminal)


def _show_explanation(explanation: Explanation, terminal: Terminal) -> None:
    terminal.line(f"{explanation.subject}: {explanation.state}")
    for reason in explanation.reasons:
        terminal.line(f"  {reason}")
    for line in explanation.printed:
        terminal.line(f"  stderr: {line}")
    for commandline in explanation.commands:
        terminal.line(f"  → {commandline}")


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
        table = Table(box=None, pad_edge=False)
        # Other verbs need the whole id, on however narrow a terminal.
        table.add_column(
            "job", no_wrap=True, min_width=max((len(r["job_id"]) for r in rows), default=0)
        )
        for title in ("state", "tasks", "submission", "created (UTC)"):
            table.add_column(title)
        for row in rows:
            table.add_row(
                *(Text(str(row[key])) for key in ("job_id", "state", "tasks", "submission")),
                Text(str(row["created"])[:16].replace("T", " ")),
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
        path = f"/jobs/{segment(manifest.current)}/terminate"
        body = {"terminateReason": "CanceledByUser"}
        session.service.call("POST", path, f"ending job {manifest.current}", body=body)
        terminal.result({"version": 1, "job_id": manifest.current, "canceled": True})
        terminal.show(f"{manifest.current}: is being ended; what it left: python -m jobs collect")


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
