"""`python -m jobs VERB`, and `python -m jobs.run`: options, and the one exit for errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from jobs.build import build_program
from jobs.checking import check
from jobs.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TASK_FAILED,
    InputError,
    JobsError,
    shown,
)
from jobs.loading import load_workload
from jobs.options import (
    ColorOption,
    JobArgument,
    JobIdOption,
    JsonOption,
    OutOption,
    OutputsOption,
    QuietOption,
    SetOption,
    StackOption,
    TimeoutOption,
    VerboseOption,
    WorkloadArgument,
)
from jobs.plan import META_SUBMISSION, META_TASKS, META_WORKLOAD
from jobs.report import report_table
from jobs.results import DEFAULT_ROOT, LAST, Manifest, ResultTree, find_tree, tree_of
from jobs.service import segment
from jobs.session import Session, Target, content_cache
from jobs.stage import contents_of
from jobs.submit import metadata_of
from jobs.terminal import Terminal, counted, size_text
from jobs.watch import Look, Watcher
from jobs.workflow import (
    RunOptions,
    bring_home,
    checked_workload,
    describe,
    failed_tasks,
    finish,
    note_collected,
    report_on,
    run_workload,
    stage_files,
)

_CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="jobs",
    help="Sends workloads to Azure Batch, watches them, brings results back.",
    no_args_is_help=True,
    context_settings=_CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run_app = typer.Typer(
    context_settings=_CONTEXT,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@app.command()
def run(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show the job; send nothing, ask nobody.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave once everything is submitted.")
    ] = False,
    timeout: TimeoutOption = None,
    job_id: JobIdOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Run a workload and bring its answer.

    Builds, stages, submits, watches, collects, merges, checks and reports.

    Exit code: 0 all tasks succeeded, 1 a task or the check failed, 2 the input is wrong,
    3 the service refused, 4 unfinished at the time limit, 130 interrupted.

    Examples:
      python -m jobs.run workloads/montecarlo/job.yaml --stack local

      python -m jobs.run job.yaml --stack dev --set paths=1000000 --dry-run

      python -m jobs run job.yaml --stack dev --detach
    """
    with _command(json_output, quiet, verbose, color) as terminal:
        options = RunOptions(
            workload=workload,
            target=Target(stack=stack, outputs=outputs),
            overrides=tuple(variables or ()),
            out=out,
            job_id=_checked_job_id(job_id),
            detach=detach,
            timeout_s=timeout,
        )
        code = describe(options, terminal) if dry_run else run_workload(options, terminal)
    raise typer.Exit(code)


run_app.command()(run)


@app.command()
def submit(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    job_id: JobIdOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Submit a workload and leave (run --detach).

    Builds and stages first; prints the job's id.
    """
    with _command(json_output, quiet, verbose, color) as terminal:
        run_workload(
            RunOptions(
                workload=workload,
                target=Target(stack=stack, outputs=outputs),
                overrides=tuple(variables or ()),
                out=out,
                job_id=_checked_job_id(job_id),
                detach=True,
            ),
            terminal,
        )


@app.command()
def validate(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Check a workload file.

    With a stack, also whether it fits. Asks no service.
    """
    with _command(json_output, quiet, verbose, color) as terminal:
        target = Target(stack=stack, outputs=outputs)
        loaded = load_workload(workload, variables or ())
        tasks = check(loaded, target.load()).rows.count if target.is_given else None
        terminal.result({"version": 1, "valid": True, "name": loaded.spec.name, "tasks": tasks})
        fits = "" if tasks is None else f", fits the stack with {counted(tasks, 'task')}"
        terminal.show(f"{shown(loaded.path)}: valid{fits}")


@app.command()
def build(
    workload: WorkloadArgument,
    variables: SetOption = None,
    force: Annotated[bool, typer.Option(help="Build though nothing changed.")] = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Build the program of a workload, if it is not up to date."""
    with _command(json_output, quiet, verbose, color) as terminal:
        with content_cache() as cache:
            built = build_program(load_workload(workload, variables or ()), cache, force=force)
        terminal.result(
            {
                "version": 1,
                "output": None if built is None else str(built.output),
                "ran": built is not None and built.ran,
            }
        )
        if built is None:
            terminal.show("nothing to build")
        else:
            terminal.show(f"{shown(built.output)}: {'built' if built.ran else 'up to date'}")


@app.command()
def stage(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    programs: Annotated[
        bool, typer.Option("--programs", help="Only the program, not the inputs.")
    ] = False,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="Only the inputs, not the program.")
    ] = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Send program and inputs to storage.

    What is there by content is not sent again.
    """
    with _command(json_output, quiet, verbose, color) as terminal:
        options = RunOptions(
            workload=workload,
            target=Target(stack=stack, outputs=outputs),
            overrides=tuple(variables or ()),
            out=DEFAULT_ROOT,
        )
        checked = checked_workload(options)
        with content_cache() as cache:
            if programs or not inputs:
                build_program(checked.workload, cache)
            contents = contents_of(checked, cache)
        both = programs == inputs
        staged = stage_files(
            checked,
            contents,
            Session(stack=checked.stack),
            programs=programs or both,
            inputs=inputs or both,
        )
        terminal.result(
            {
                "version": 1,
                "files": staged.files,
                "sent": staged.sent,
                "bytes_sent": staged.bytes_sent,
            }
        )
        terminal.show(
            f"{counted(staged.files, 'file')}, {staged.sent} sent ({size_text(staged.bytes_sent)})"
        )


@app.command()
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
    with _command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = _known(job, out, timeout_s=timeout)
        checked = checked_workload(options)
        session = Session(stack=checked.stack)
        code = finish(checked, session, tree, options, terminal, job_id=manifest.job_id)
    raise typer.Exit(code)


app.command("watch", help="The same as wait.")(wait)


@app.command()
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
    with _command(json_output, quiet, verbose, color) as terminal:
        _, _, options = _known(job, out, timeout_s=timeout, detach=detach, resume=True)
        code = run_workload(options, terminal)
    raise typer.Exit(code)


@app.command()
def status(
    job: JobArgument = LAST,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Show where a job stands, once."""
    with _command(json_output, quiet, verbose, color) as terminal:
        manifest, _, options = _known(job, out)
        session = Session(stack=options.target.load())
        look = Watcher(service=session.service, job_id=manifest.job_id).look()
        terminal.result({"version": 1, "job_id": manifest.job_id, **_look_json(look)})
        terminal.show(_status_table(manifest.job_id, look))


@app.command("list")
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
    with _command(json_output, quiet, verbose, color) as terminal:
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


@app.command()
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
    with _command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = _known(job, out)
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


@app.command()
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
    with _command(json_output, quiet, verbose, color) as terminal:
        manifest, tree, options = _known(job, out)
        checked = checked_workload(options)
        session = Session(stack=checked.stack)
        watcher = Watcher(service=session.service, job_id=manifest.job_id)
        made = report_on(watcher, watcher.look(), checked, tree)
        terminal.result({"version": 1, "results": str(tree.root), "report": made.as_json()})
        terminal.show(report_table(made))
        if made.failed:
            terminal.error(str(failed_tasks(made, tree, options)))
    raise typer.Exit(EXIT_TASK_FAILED if made.failed else EXIT_OK)


@app.command()
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
    with _command(json_output, quiet, verbose, color) as terminal:
        manifest, _, options = _known(job, out)
        session = Session(stack=options.target.load())
        path = f"/jobs/{segment(manifest.job_id)}/terminate"
        body = {"terminateReason": "CanceledByUser"}
        session.service.call("POST", path, f"ending job {manifest.job_id}", body=body)
        terminal.result({"version": 1, "job_id": manifest.job_id, "canceled": True})
        terminal.show(f"{manifest.job_id}: is being ended; what it left: python -m jobs collect")


def main() -> None:
    """Runs `python -m jobs`."""
    app(prog_name="python -m jobs")


def run_main() -> None:
    """Runs `python -m jobs.run`."""
    run_app(prog_name="python -m jobs.run")


@contextmanager
def _command(json_output: bool, quiet: bool, verbose: bool, color: bool) -> Iterator[Terminal]:
    """Runs a command's body: errors are printed here, and only here."""
    terminal = Terminal(json_output=json_output, quiet=quiet, color=color)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )
    logging.getLogger("azure").setLevel(logging.ERROR)
    try:
        yield terminal
    except JobsError as error:
        findings = error.findings if isinstance(error, InputError) else ()
        count = f"{len(findings)} findings\n" if len(findings) > 1 else ""
        terminal.error(f"error: {count}{error}")
        if json_output and error.exit_code != EXIT_TASK_FAILED:
            terminal.result({"version": 1, "error": _error_json(error)})
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        terminal.error("interrupted")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _error_json(error: JobsError) -> dict[str, Any]:
    value: dict[str, Any] = {
        "kind": type(error).__name__,
        "exit_code": error.exit_code,
        "message": str(error),
    }
    if isinstance(error, InputError):
        value["findings"] = [
            {"where": f.where, "line": f.line, "path": f.path, "message": f.message}
            for f in error.findings
        ]
    return value


def _known(
    job: str,
    out: Path,
    *,
    timeout_s: float | None = None,
    detach: bool = False,
    resume: bool = False,
) -> tuple[Manifest, ResultTree, RunOptions]:
    """A submitted job by what a user calls it.

    Raises:
        InputError: It was not submitted from here.
    """
    tree = find_tree(job, out)
    manifest = tree.read_manifest()
    options = RunOptions(
        workload=Path(manifest.workload),
        target=Target.of(manifest),
        overrides=manifest.overrides,
        out=out,
        job_id=manifest.job_id,
        detach=detach,
        timeout_s=timeout_s,
        resume=resume,
    )
    return manifest, tree, options


def _checked_job_id(job_id: str | None) -> str | None:
    if job_id is not None:
        tree_of(job_id, DEFAULT_ROOT)
    return job_id


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
