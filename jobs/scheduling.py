"""From a workload file with a `schedule` to a schedule that Batch keeps: the steps, in order.

What comes before is that of a job (`jobs.workflow.prepared`); what comes after is another:
nobody waits, and Batch makes the jobs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.checking import load_for
from jobs.errors import EXIT_OK, Finding, InputError, ServiceError, UnavailableError
from jobs.following import interruptible
from jobs.job_ids import chosen_id, written_id
from jobs.job_schedules import JobSchedule, as_json
from jobs.looks import moment_of
from jobs.results import DEFAULT_ROOT
from jobs.run_options import RunOptions
from jobs.schedule_checks import require_there, require_unused
from jobs.schedule_jobs import require_own_place
from jobs.schedule_notes import forget_notes, known_schedules, name_last, note_of
from jobs.schedules import (
    SchedulePlan,
    add_schedule,
    moment_text,
    plan_schedule,
    require_time,
    stage_schedule,
    timing_text,
    update_schedule,
)
from jobs.service import BatchService
from jobs.submission import begin_tree, keep_given
from jobs.task_files import write_task_files
from jobs.terminal import Terminal, counted, size_text
from jobs.workflow import prepared, run_workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """What a submission did.

    Attributes:
        plan: What was sent.
        schedule: The schedule.
        added: Whether it was not there before.
    """

    plan: SchedulePlan
    schedule: JobSchedule
    added: bool


def run_or_schedule(options: RunOptions, terminal: Terminal) -> int:
    """Runs a workload, or submits its schedule if it has one to heed; the exit code.

    Raises:
        JobsError: Each with its exit code.
    """
    loaded = load_for(options.workload, options.overrides, options.target.load)
    if loaded.spec.schedule is None or options.once:
        return run_workload(options, terminal)
    _require_unwatched(options)
    return schedule_workload(options, terminal)


def schedule_workload(options: RunOptions, terminal: Terminal, *, update: bool = False) -> int:
    """Submits a schedule, or changes the one that there is, and says what comes of it.

    Raises:
        JobsError: Each with its exit code.
    """
    done = submit_schedule(options, terminal, update=update)
    plan, row = done.plan, done.schedule.status()
    terminal.show(plan.id)
    terminal.result(
        {
            "version": 1,
            "added": done.added,
            "updated": update,
            "tasks": plan.job.count,
            **as_json(row),
        }
    )
    did = "updated" if update else "added" if done.added else "it was there already"
    terminal.note(
        f"schedule {plan.id}: {did}; {counted(plan.job.count, 'task')} a job, "
        f"{timing_text(plan.timing)}"
    )
    if row.next_run:
        terminal.note(f"its next job: {moment_text(moment_of(row.next_run))}")
    out = "" if options.out == DEFAULT_ROOT else f" --out {options.out}"
    terminal.note(
        f"look at it: python -m jobs schedule show {plan.id}{out}\n"
        f"watch its latest job: python -m jobs wait {plan.id}{out}"
    )
    return EXIT_OK


def submit_schedule(options: RunOptions, terminal: Terminal, *, update: bool = False) -> Scheduled:
    """Builds, stages and submits a schedule; a second time does nothing.

    Raises:
        JobsError: Each with its exit code.
    """
    loaded = load_for(options.workload, options.overrides, options.target.load)
    if loaded.spec.schedule is None:
        raise InputError([loaded.finding("there is none in this file", "schedule")])
    schedule_id = options.job_id or loaded.spec.name
    schedule_id = written_id(schedule_id) if update else chosen_id(schedule_id)
    options = replace(options, job_id=schedule_id)
    require_own_place(schedule_id, options.target.load(), options.out)
    with interruptible("nothing was submitted"):
        session, job = prepared(options, terminal)
        require_time(job.checked.workload, datetime.now(UTC))
        if update:
            require_there(schedule_id, session.service)
        else:
            require_unused(schedule_id, session, options.out)
        with TemporaryDirectory(prefix="jobs-tasks-") as directory:
            plan = plan_schedule(job, write_task_files(job, Path(directory)))
            staged = stage_schedule(plan, session)
    terminal.note(
        f"staged: the tasks in {counted(len(plan.files) - 1, 'file')} ({size_text(plan.size)} "
        f"with the job manager), {staged.sent} sent"
    )
    tree = note_of(plan.id, job.digest, options.out)
    begin_tree(tree, job, options)
    keep_given(tree, job, terminal)
    with interruptible("the schedule may be submitted or not: the same command finishes it"):
        added = _send(plan, session.service, options.out, update=update)
        name_last(plan.id, job.digest, options.out)
    schedule = JobSchedule(id=plan.id, session=session, out=options.out)
    return Scheduled(plan=plan, schedule=schedule, added=added)


def _send(plan: SchedulePlan, service: BatchService, root: Path, *, update: bool) -> bool:
    """Adds or changes it; whether it was added. Where it is refused, its note goes.

    Raises:
        InputError: It is over, or does something else.
        ServiceError: Refused, or there was no answer.
    """
    try:
        if update:
            update_schedule(plan, service)
            return False
        return add_schedule(plan, service, root)
    except (InputError, ServiceError) as error:
        known = isinstance(error, InputError) or not (
            error.unclear or isinstance(error, UnavailableError)
        )
        if known and plan.id not in known_schedules(root):
            forget_notes(plan.id, root)
        raise


def _require_unwatched(options: RunOptions) -> None:
    """Refuses what needs somebody who watches.

    Raises:
        InputError: With each option that does.
    """
    unwatched = "is for a job that is watched from here, and Batch makes the jobs of a schedule "
    instead = "when nobody is: give it to `wait SCHEDULE`, or run one job now (--once)"
    found = [Finding(where=name, message=f"{unwatched}{instead}") for name in options.watched]
    if options.first is not None:
        message = f"{unwatched}whole: try the tasks in a job of their own, with --once"
        found.insert(0, Finding(where="--first", message=message))
    if found:
        raise InputError(found)
