"""The verb that runs tasks of a job again.

Which tasks, and what goes with them, is `jobs.rerun`'s and `jobs.again`'s; here it is said
and sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from jobs.answer import stale_error
from jobs.cli.command import command, finishing_of, known
from jobs.consent import Consent
from jobs.describe import describe
from jobs.errors import EXIT_OK, InputError
from jobs.following import go_on
from jobs.going_on import options_again
from jobs.job import open_job
from jobs.job_ids import LAST
from jobs.options import (
    CancelOption,
    ColorOption,
    ConfirmAboveOption,
    JobArgument,
    JsonOption,
    MaxCostOption,
    MaxFailsOption,
    NoInputOption,
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
    YesOption,
)
from jobs.results import DEFAULT_ROOT
from jobs.selection import FAILED
from jobs.session import Target
from jobs.terminal import counted
from jobs.workflow import run_workload, see_to_end

_FEW = 5


def rerun(
    job: JobArgument = LAST,
    failed: Annotated[
        bool, typer.Option("--failed", help="Tasks that failed or never ended (the default).")
    ] = False,
    canceled: Annotated[
        bool,
        typer.Option("--canceled", help="Tasks that were ended with the job, or never ran."),
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
    only: Annotated[
        bool,
        typer.Option(
            "--only", help="Leave the tasks behind these as they are; their answers are stale."
        ),
    ] = False,
    allow_changed: Annotated[
        bool,
        typer.Option(
            "--allow-changed", help="Run what the file has there now, if other tasks ran there."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Show the tasks; send nothing.")
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
    confirm_above: ConfirmAboveOption = None,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    stack: OfStackOption = None,
    outputs: OfOutputsOption = None,
    out: OutOption = DEFAULT_ROOT,
    json_output: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = True,
) -> None:
    """Run failed tasks again.

    In the same result tree, with the program and inputs as they are now. What the tasks
    had left is set aside under attempts/; then as `run`. Tasks that have run and wait for
    one that runs again go with it. Refused where the file makes other tasks by now. Where
    no task is to be run again, merge and check are.

    For example:

      python -m jobs rerun

      python -m jobs rerun mc-7f3a --exit-code 137

      python -m jobs rerun --tasks 0-9 --dry-run
    """
    with command(json_output, quiet, verbose, color, progress) as terminal:
        if tasks is not None and (failed or canceled or exit_codes):
            raise InputError("--tasks says which tasks: leave the other choices out")
        manifest, tree, options = known(
            job,
            out,
            target=Target(stack=stack, outputs=outputs),
            timeout_s=timeout,
            detach=detach,
            finishing=finishing_of(
                max_fails, cancel_on_interrupt, on_finish, notify, max_cost, report
            ),
        )
        opened = open_job(job, out, options.target)
        again = opened.again(
            tasks=FAILED if tasks is None else tasks,
            exit_codes=exit_codes or (),
            canceled=canceled and not failed,
            allow_changed=allow_changed,
            dependents=not only,
        )
        numbers, stale = again.numbers, again.stale
        if numbers:
            terminal.note(f"again: {counted(len(numbers), 'task')} of {manifest.tasks}")
        if stale:
            terminal.note(
                f"stale after this: {stale.stages_text}, made from what ran before; to bring it "
                f"up to date: {go_on('rerun', tree)}"
            )
        if mended := again.mended_names():
            more = f" and {len(mended) - _FEW:,} more" if len(mended) > _FEW else ""
            terminal.note(f"given something else than before: {', '.join(mended[:_FEW])}{more}")
        if not numbers:
            terminal.note("no task is to be run again")
            code = EXIT_OK
            if dry_run or detach:
                terminal.result(
                    {
                        "version": 1,
                        "job_id": manifest.job_id,
                        "tasks": 0,
                        "stale": stale.as_json(),
                    }
                )
                if stale and not dry_run:
                    raise stale_error(stale, tree)
            else:  # what is missing may be the answer
                code = see_to_end(manifest.current, tree, options, terminal)
            raise typer.Exit(code)
        options = replace(
            options_again(options, tree, again),
            consent=Consent(above=confirm_above, yes=yes, no_input=no_input),
        )
        if dry_run:
            code = describe(options, terminal, again=again)
        else:
            for group in again.groups():
                terminal.note(f"  {group}")
            code = run_workload(options, terminal, checked=opened.checked)
    raise typer.Exit(code)
