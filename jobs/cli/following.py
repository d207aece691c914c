"""Verbs that follow a job: wait, resume, status, explain, cancel."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.command import command, finishing_of, known, tasks_of
from jobs.describe import describe
from jobs.errors import EXIT_OK, JobsError, NotFoundError
from jobs.explain import Explanation
from jobs.finishing import state_of
from jobs.following import go_on
from jobs.gone import Gone, is_gone, require_there
from jobs.job import MOST_EXPLAINED, open_job
from jobs.job_ids import LAST
from jobs.looks import Look
from jobs.options import (
    CancelOption,
    ColorOption,
    JobArgument,
    JobOption,
    JobsArgument,
    JsonOption,
    MaxCostOption,
    MaxFailsOption,
    NotifyOption,
    OfOutputsOption,
    OfStackOption,
    OnFinishOption,
    OutOption,
    ProgressOption,
    QuietOption,
    ReportOption,
    TimeoutOption,
    VerboseOption,
)
from jobs.prices import money
from jobs.results import DEFAULT_ROOT, ResultTree, names_several
from jobs.resuming import resumable
from jobs.schedule_jobs import find_trees
from jobs.selection import FAILED, positions_of
from jobs.session import Session, Target
from jobs.standing import counts_text, ended_text, first_failure, look_json
from jobs.task_names import written_values
from jobs.terminal import Terminal
from jobs.workflow import leave, require_unwatched, run_workload, see_to_end


def wait(
    job: JobArgument = LAST,
    timeout: TimeoutOption = None,
    max_fails: MaxFailsOption = None,
    max_cost: MaxCostOption = None,
    cancel_on_interrupt: CancelOption = False,
    on_finish: OnFinishOption = None,
    notify: NotifyOption = None,
    report: ReportOption = None,
    progress: ProgressOption = "auto",
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Watch a job to its end.

    Then as `run`: collects, merges, checks and reports.

    For example:

      python -m jobs wait

      python -m jobs wait mc-7f3a --timeout 2h --max-fails 10 --report report.html
    """
    with command(json_output, quiet, verbose, color, progress) as terminal:
        manifest, tree, options = known(
            job,
            out,
            target=Target(stack=stack, outputs=outputs),
            timeout_s=timeout,
            finishing=finishing_of(
                max_fails, cancel_on_interrupt, on_finish, notify, max_cost, report
            ),
        )
        code = see_to_end(manifest.current, tree, options, terminal)
    raise typer.Exit(code)


def resume(
    job: JobArgument = LAST,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show what is missing; send nothing.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave once everything is submitted.")
    ] = False,
    timeout: TimeoutOption = None,
    max_fails: MaxFailsOption = None,
    max_cost: MaxCostOption = None,
    cancel_on_interrupt: CancelOption = False,
    on_finish: OnFinishOption = None,
    notify: NotifyOption = None,
    report: ReportOption = None,
    progress: ProgressOption = "auto",
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Finish a submission that was cut short, or let a paused job go on.

    Adds the tasks that are missing, enables the job where it is disabled (`on_failure:
    pause`), then goes on as `run`.

    For example:

      python -m jobs resume

      python -m jobs resume mc-7f3a --detach
    """
    with command(json_output, quiet, verbose, color, progress) as terminal:
        manifest, tree, options = known(
            job,
            out,
            target=Target(stack=stack, outputs=outputs),
            timeout_s=timeout,
            detach=detach,
            finishing=finishing_of(
                max_fails, cancel_on_interrupt, on_finish, notify, max_cost, report
            ),
            resume=True,
        )
        if detach:
            require_unwatched(options)
        session = Session(stack=options.target.load())
        found = resumable(tree, session.service)
        if found.paused and not dry_run:
            found.enable(session.service)
        if found.paused:
            does = "would be" if dry_run else "is"
            terminal.note(f"job {found.job_id} was disabled, and {does} enabled")
        code = EXIT_OK
        if dry_run:
            code = describe(options, terminal)
        elif not found.only_paused:
            code = run_workload(options, terminal)
        elif detach:
            tasks = len(positions_of(options.only)) if options.only else manifest.tasks
            leave(found.job_id, tree, session, terminal, tasks=tasks, added=0)
        else:
            code = see_to_end(manifest.current, tree, options, terminal)
    raise typer.Exit(code)


def status(
    jobs: JobsArgument = LAST,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Show where jobs stand, once.

    Of a job that was cleaned, that it was, and where its results are. Of several jobs, one
    that cannot be asked for keeps the others from nothing; the exit code says so.

    For example:

      python -m jobs status

      python -m jobs status 1-3
    """
    with command(json_output, quiet, verbose, color) as terminal:
        target = Target(stack=stack, outputs=outputs)
        rows: list[dict[str, Any]] = []
        errors: list[JobsError] = []
        several = names_several(jobs, out)
        for tree in find_trees(jobs, out, target):
            try:
                rows.append(_status_of(tree, target, terminal))
            except JobsError as error:
                if not several:
                    raise
                errors.append(error)
                terminal.error(f"{tree.root.name}: {error}")
                rows.append({"job_id": tree.root.name, "error": str(error)})
        terminal.result({"version": 1, **({"jobs": rows} if several else rows[0])})
    if errors:
        raise typer.Exit(errors[0].exit_code)


def _status_of(tree: ResultTree, target: Target, terminal: Terminal) -> dict[str, Any]:
    """Shows where one job stands; the same for a program."""
    if not tree.read_manifest().cleaned:
        found = open_job(tree.root.name, tree.root.parent, target)
        try:
            look = found.status()
        except NotFoundError as error:
            if not is_gone(error):
                raise
        else:
            pool, job_id = found.pool, found.manifest.current
            currency = None if pool is None else pool.price_currency
            terminal.show(_status_table(job_id, look, currency, go_on("rerun", tree)))
            return {"job_id": job_id, **look_json(look), "currency": currency}
    gone = Gone.of(tree)
    terminal.show(f"{gone.manifest.job_id}: {gone.text}")
    return gone.as_json()


def explain(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Positions, ids or `failed`; the job itself if absent.", metavar="TASKS"
        ),
    ] = None,
    job: JobOption = LAST,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
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
        selected = tasks_of(tasks, out)
        found = open_job(job, out, Target(stack=stack, outputs=outputs))
        explained = found.explain(selected)
        if len(explained) == MOST_EXPLAINED:
            terminal.note(f"at most {MOST_EXPLAINED} are explained")
        if not explained:
            terminal.note("no task failed" if selected == FAILED else "no such task")
        terminal.result(
            {
                "version": 1,
                "job_id": found.manifest.current,
                "explanations": [explanation.as_json() for explanation in explained],
            }
        )
        for explanation in explained:
            _show_explanation(explanation, terminal)


def _show_explanation(explanation: Explanation, terminal: Terminal) -> None:
    named = "" if explanation.name == explanation.subject else f" ({explanation.subject})"
    terminal.line(f"{explanation.name}{named}: {explanation.state}")
    if explanation.parameters:
        terminal.line(f"  with {written_values(explanation.parameters)}")
    for reason in explanation.reasons:
        terminal.line(f"  {reason}")
    for line in explanation.printed:
        terminal.line(f"  stderr: {line}")
    for commandline in explanation.commands:
        terminal.line(f"  → {commandline}")


def cancel(
    jobs: JobsArgument = LAST,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """End jobs.

    Their running tasks are stopped, their waiting ones never run. A job that is over stays
    as it is.

    For example:

      python -m jobs cancel mc-7f3a

      python -m jobs cancel 1-3
    """
    with command(json_output, quiet, verbose, color) as terminal:
        target = Target(stack=stack, outputs=outputs)
        rows = []
        several = names_several(jobs, out)
        for tree in find_trees(jobs, out, target):
            manifest = tree.read_manifest()
            job_id = manifest.current
            if not several:
                require_there(tree)
            elif manifest.cleaned:
                rows.append({"job_id": job_id, "canceled": False, "state": "cleaned"})
                terminal.show(f"{job_id}: {Gone.of(tree).text}")
                continue
            found = open_job(tree.root.name, out, target)
            canceled = found.cancel()
            state = state_of(found.session.service, job_id)
            rows.append({"job_id": job_id, "canceled": canceled, "state": state})
            said = "is being ended" if canceled else f"was over before ({state})"
            if not canceled and state == "terminating":
                said = "was being ended before"
            terminal.show(f"{job_id}: {said}; what it left: {go_on('collect', tree)}")
        terminal.result({"version": 1, "jobs": rows})


def _status_table(job_id: str, look: Look, currency: str | None, mend: str) -> Table:
    """Where a job stands; `mend` is the command line that runs stale answers again."""
    stale = look.stale.by_stage
    table = Table.grid(padding=(0, 2))
    table.add_row("job", Text(f"{job_id} ({look.job_state})"))
    table.add_row("tasks", counts_text(look))
    if look.pool is not None:
        nodes = ", ".join(f"{n} {state}" for state, n in sorted(look.pool.nodes.items()))
        table.add_row("nodes", f"{nodes or 'none'}; {look.pool.target} wanted")
    for stage in look.stages:
        failed = f", {stage.failed} failed" if stage.failed else ""
        runs = f", {stage.running} running" if stage.running else ""
        old = f", {stale[stage.name]} stale" if stage.name in stale else ""
        told = f"{stage.name}: {stage.ended} of {stage.total} ended{runs}{failed}{old}"
        table.add_row("stage", Text(told))
    if look.stale:
        table.add_row("stale", Text(f"{look.stale.text.removeprefix('stale: ')}: {mend}"))
    if look.cost is not None and currency is not None:
        table.add_row("cost", f"{money(look.cost, currency)}{'' if look.over else ' so far'}")
    for reason in (*filter(None, [ended_text(look.end_reason)]), *look.obstacles):
        table.add_row("why", Text(reason))
    if look.first_failure is not None:
        first = first_failure(look)
        table.add_row("failed", Text(f"first {first}: python -m jobs explain failed"))
    return table
