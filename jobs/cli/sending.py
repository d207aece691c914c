"""Verbs that begin with a workload file: run, submit, validate, build, stage."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from jobs.advice import Advice
from jobs.build import build_programs
from jobs.checking import check, load_for
from jobs.cli.command import command, finishing_of
from jobs.consent import Consent
from jobs.describe import describe
from jobs.errors import shown
from jobs.job_ids import chosen_id
from jobs.loading import load_workload
from jobs.options import (
    CancelOption,
    ColorOption,
    ConfirmAboveOption,
    FailOnOption,
    FirstOption,
    IgnoreOption,
    JobIdOption,
    JsonOption,
    MaxCostOption,
    MaxFailsOption,
    NoInputOption,
    NotifyOption,
    OnceOption,
    OnFinishOption,
    OutOption,
    OutputsOption,
    ProgressOption,
    QuietOption,
    ReportOption,
    SetOption,
    StackOption,
    TimeoutOption,
    VerboseOption,
    WorkloadArgument,
    YesOption,
)
from jobs.plan import plan
from jobs.results import DEFAULT_ROOT
from jobs.run_options import RunOptions
from jobs.schedules import require_time
from jobs.scheduling import run_or_schedule
from jobs.session import Session, Target, content_cache
from jobs.stage import unread
from jobs.strictness import strictness
from jobs.terminal import counted, size_text
from jobs.transfer import counting
from jobs.workflow import stage_workload


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
    once: OnceOption = False,
    first: FirstOption = None,
    timeout: TimeoutOption = None,
    max_fails: MaxFailsOption = None,
    max_cost: MaxCostOption = None,
    cancel_on_interrupt: CancelOption = False,
    on_finish: OnFinishOption = None,
    notify: NotifyOption = None,
    report: ReportOption = None,
    progress: ProgressOption = "auto",
    ignore: IgnoreOption = None,
    fail_on: FailOnOption = "error",
    confirm_above: ConfirmAboveOption = None,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    job_id: JobIdOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Run a workload and bring its answer.

    Builds, stages, submits, watches, collects, merges, checks and reports. A file with a
    `schedule` is submitted as one, and Batch makes the jobs (see schedule); with --once it is
    one job, now.

    Exit code: 0 all tasks succeeded, 1 a task or the check failed, 2 the input is wrong,
    3 the service refused, 4 unfinished at the time limit, 130 interrupted.

    For example:

      python -m jobs.run workloads/montecarlo/job.yaml --stack local

      python -m jobs.run job.yaml --stack dev --set paths=1000000 --dry-run

      python -m jobs run job.yaml --stack dev --detach
    """
    with command(json_output, quiet, verbose, color, progress) as terminal:
        options = RunOptions(
            workload=workload,
            target=Target(stack=stack, outputs=outputs),
            overrides=tuple(variables or ()),
            out=out,
            consent=Consent(above=confirm_above, yes=yes, no_input=no_input),
            strictness=strictness(ignore, fail_on),
            job_id=_checked_job_id(job_id),
            detach=detach,
            once=once,
            first=first,
            timeout_s=timeout,
            finishing=finishing_of(
                max_fails, cancel_on_interrupt, on_finish, notify, max_cost, report
            ),
        )
        code = describe(options, terminal) if dry_run else run_or_schedule(options, terminal)
    raise typer.Exit(code)


def submit(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show the job; send nothing, ask nobody.")
    ] = False,
    once: OnceOption = False,
    ignore: IgnoreOption = None,
    fail_on: FailOnOption = "error",
    confirm_above: ConfirmAboveOption = None,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    job_id: JobIdOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Submit a workload and leave (run --detach).

    Builds and stages first; prints the job's id, or the schedule's.

    For example:

      python -m jobs submit job.yaml --stack dev

      python -m jobs submit job.yaml --stack dev --set n=100 --job-id n-100
    """
    with command(json_output, quiet, verbose, color) as terminal:
        options = RunOptions(
            workload=workload,
            target=Target(stack=stack, outputs=outputs),
            overrides=tuple(variables or ()),
            out=out,
            consent=Consent(above=confirm_above, yes=yes, no_input=no_input),
            strictness=strictness(ignore, fail_on),
            job_id=_checked_job_id(job_id),
            detach=True,
            once=once,
        )
        if dry_run:
            describe(options, terminal)
        else:
            run_or_schedule(options, terminal)


def validate(
    workload: WorkloadArgument,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    variables: SetOption = None,
    ignore: IgnoreOption = None,
    fail_on: FailOnOption = "error",
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Check a workload file.

    With a stack, also whether it fits. Asks no service. A warning ends with its code.

    For example:

      python -m jobs validate job.yaml --stack dev --fail-on warning --ignore rounds
    """
    with command(json_output, quiet, verbose, color) as terminal:
        strict = strictness(ignore, fail_on)
        target = Target(stack=stack, outputs=outputs)
        loaded = (
            load_for(workload, variables or (), target.load)
            if target.is_given
            else load_workload(workload, variables or ())
        )
        require_time(loaded, datetime.now(UTC))
        tasks = None
        warnings: list[Advice] = []
        if target.is_given:
            outputs_of = target.load()
            checked = check(loaded, outputs_of, list_blobs=Session(stack=outputs_of).list_blobs)
            plan(checked, unread(checked), job_id=loaded.spec.name)
            tasks = checked.count
            warnings = strict.heeded(checked.warnings, shown(loaded.path))
            for warning in warnings:
                terminal.note(f"warning: {warning}")
        terminal.result(
            {
                "version": 1,
                "valid": True,
                "name": loaded.spec.name,
                "tasks": tasks,
                "warnings": [asdict(warning) for warning in warnings],
            }
        )
        fits = "" if tasks is None else f", fits the stack with {counted(tasks, 'task')}"
        terminal.show(f"{shown(loaded.path)}: valid{fits}")


def build(
    workload: WorkloadArgument,
    variables: SetOption = None,
    force: Annotated[bool, typer.Option(help="Build though nothing changed.")] = False,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Build the program of a workload, if it is not up to date.

    For example:

      python -m jobs build job.yaml

      python -m jobs build job.yaml --force
    """
    with command(json_output, quiet, verbose, color) as terminal:
        with content_cache() as cache:
            done = build_programs(load_workload(workload, variables or ()), cache, force=force)
        terminal.result(
            {
                "version": 1,
                "output": str(done[0].output) if done else None,
                "ran": any(built.ran for built in done),
                "programs": [{"output": str(b.output), "ran": b.ran} for b in done],
            }
        )
        if not done:
            terminal.show("nothing to build")
        for built in done:
            terminal.show(f"{shown(built.output)}: {'built' if built.ran else 'up to date'}")


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

    For example:

      python -m jobs stage job.yaml --stack dev

      python -m jobs stage job.yaml --stack dev --inputs
    """
    with command(json_output, quiet, verbose, color) as terminal:
        options = RunOptions(
            workload=workload,
            target=Target(stack=stack, outputs=outputs),
            overrides=tuple(variables or ()),
            out=DEFAULT_ROOT,
        )
        both = programs == inputs
        with counting(terminal, "staged") as progress:
            staged = stage_workload(
                options, programs=programs or both, inputs=inputs or both, progress=progress
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


def _checked_job_id(job_id: str | None) -> str | None:
    return None if job_id is None else chosen_id(job_id)
