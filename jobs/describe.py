"""`--dry-run`: the job as it would be sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from jobs.again import Again
from jobs.checking import CheckedStage
from jobs.command_lines import shown_command, written_command
from jobs.contents import Contents
from jobs.errors import EXIT_OK, shown
from jobs.estimate import estimate, node_price
from jobs.plan import JobPlan, plan
from jobs.reasons import Before, last_job, submitted_as
from jobs.rerun import ran_before
from jobs.results import tree_of
from jobs.run_options import RunOptions
from jobs.schedule_jobs import require_own_place
from jobs.schedules import (
    SchedulePlan,
    first_runs,
    moment_text,
    plan_schedule,
    require_time,
    timing_text,
)
from jobs.session import Session, content_cache
from jobs.spec_schedule import wire_moment
from jobs.stage import contents_of
from jobs.stage_plan import stage_plans, whole_job_reasons
from jobs.submission import require_same
from jobs.submit import count_there
from jobs.task_bodies import PlannedTask
from jobs.task_files import write_task_files
from jobs.task_names import Values, written_values
from jobs.terminal import Terminal, counted, size_text
from jobs.workflow import checked_workload, new_job_id

_PLANNED_BUILD = "not built yet: ids are provisional"


def describe(options: RunOptions, terminal: Terminal, *, again: Again | None = None) -> int:
    """`--dry-run`: the job as it would be sent. Builds and sends nothing.

    No service is asked, but what a job has of a submission that is to be finished.

    Args:
        options: What a user asked for.
        terminal: Where it is told.
        again: Why tasks run again, if these do.
    """
    job, contents = planned(options)
    checked = job.checked
    pool = checked.pool
    sizes = sum(item.size for item in {c.sha256: c for c in contents.values()}.values())
    stages = list(_stages(_first_of(job) if _is_scheduled(job, options) else job))
    cost = estimate(job, options.out)
    warnings = options.strictness.heeded(job.warnings, shown(checked.workload.path))
    scheduled = _scheduled(job, options)
    sizes += 0 if scheduled is None else scheduled.size
    now = datetime.now(UTC)
    runs = [] if scheduled is None else first_runs(scheduled.timing, now)
    there = None
    if options.resume:
        tree = options.again or tree_of(job.job_id, options.out)
        require_same(job, tree)
        existed = tree.read_manifest().current_made
        there = count_there(job, Session(stack=checked.stack).service, existed=existed)
    before = _before(job, options)
    plans = stage_plans(job, again=again, there=there, before=before)
    whole = whole_job_reasons(job, before)
    new_files = sorted(contents) if before is None else before.new_files(contents)
    exists = _exists(job, options)
    terminal.result(
        {
            "version": 1,
            "job": job.body,
            "schedule": None if scheduled is None else scheduled.sent(now),
            "first_runs": [wire_moment(run) for run in runs],
            "tasks": job.count,
            "plan": job.digest,
            "provisional": job.unbuilt,
            "first_tasks": [orjson.loads(task.body) for task in stages[0].first],
            "last_task": orjson.loads(stages[-1].last.body),
            "stages": [stage.as_json() for stage in stages],
            "again": None if again is None else again.as_json(),
            "by_stage": [plan.as_json() for plan in plans],
            "reasons": list(whole),
            "exists": exists,
            "since": None if before is None else before.since(job),
            "files": sorted(str(path) for path in contents),
            "new_files": [str(path) for path in new_files],
            "bytes_to_stage_at_most": sizes,
            "pool": pool.model_dump(),
            "cost": cost.as_json(),
            "warnings": [str(warning) for warning in warnings],
        }
    )
    terminal.show(
        f"{'job     ' if scheduled is None else 'schedule'} {job.job_id} on pool {pool.id}, "
        f"stack {checked.stack.stack}",
        *([] if scheduled is None else [f"when     {timing_text(scheduled.timing)}"]),
        *(f"a job    {moment_text(run)}" for run in runs),
        *(f"tasks    {stage.line}" for stage in stages),
        *(f"plan     {line}" for plan in plans for line in plan.lines()),
        *(f"plan     the job: {reason}" for reason in whole),
        f"files    {len(contents)}, {size_text(sizes)} to stage at most"
        + ("" if before is None else f", {len(new_files)} new since {before.job_id}")
        + (f"; {_PLANNED_BUILD}" if job.unbuilt else ""),
        *(f"package  {one}" for one in checked.packages),
        f"nodes    {pool.min_nodes} to {pool.max_nodes} of {pool.vm_size}, {node_price(checked)}",
        f"cost     {cost}",
    )
    for stage in stages:
        for task in dict.fromkeys((*stage.first, stage.last)):
            body = orjson.loads(task.body)
            given = written_values(stage.given[task.index])
            terminal.show(
                f"task     {task.name or task.id}{f' ({given})' if given else ''}: "
                f"{shown_command(written_command(body['commandLine']))}"
            )
    if before is not None and not before.since(job)["changes"]:
        terminal.show(f"since    {before.job_id}: nothing changed")
    if exists:
        terminal.note(
            f"warning: job {job.job_id} was submitted from here already: this is refused. What is "
            f"missing of it: python -m jobs resume {job.job_id} --dry-run"
        )
    for warning in warnings:
        terminal.note(f"warning: {warning}")
    terminal.show("", "Nothing was sent (--dry-run). The whole of it: --json")
    return EXIT_OK


def _before(job: JobPlan, options: RunOptions) -> Before | None:
    """What the file is held against: what ran, of tasks that run again; else its last job."""
    if options.resume:
        return None
    if options.again is None:
        return last_job(job, options.out)
    return submitted_as(options.again, options.again.read_manifest())


def _exists(job: JobPlan, options: RunOptions) -> bool:
    """Whether a job of this id was submitted from here, and is not what is gone on with."""
    if options.resume or options.again is not None or _is_scheduled(job, options):
        return False
    return tree_of(job.job_id, options.out).manifest_file.exists()


def _is_scheduled(job: JobPlan, options: RunOptions) -> bool:
    """Whether Batch is to make the jobs; what runs again is sent at once."""
    return job.checked.workload.spec.schedule is not None and options.again is None


def _first_of(schedule: JobPlan) -> JobPlan:
    """The first job that a schedule makes."""
    return replace(schedule, job_id=f"{schedule.job_id}:job-1")


def _scheduled(job: JobPlan, options: RunOptions) -> SchedulePlan | None:
    """The schedule, if the job is not sent at once."""
    if not _is_scheduled(job, options):
        return None
    require_time(job.checked.workload, datetime.now(UTC))
    require_own_place(job.job_id, job.checked.stack, options.out)
    with TemporaryDirectory(prefix="jobs-tasks-") as directory:
        return plan_schedule(job, write_task_files(job, Path(directory)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A stage, with the tasks of it that are shown."""

    line: str
    name: str
    count: int
    first: tuple[PlannedTask, ...]
    last: PlannedTask
    given: Mapping[int, Values]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "tasks": self.count,
            "first_tasks": [orjson.loads(task.body) for task in self.first],
            "last_task": orjson.loads(self.last.body),
            "first_parameters": [dict(self.given[task.index]) for task in self.first],
            "last_parameters": dict(self.given[self.last.index]),
        }


def _stages(job: JobPlan) -> Iterator[_Shown]:
    """Walks every task once: whatever a factory has to say, it says now.

    Of tasks that run again, only stages that have some.
    """
    for stage, tasks in zip(job.checked.stages, job.stages(), strict=True):
        first = tuple(islice(tasks, 2))
        if not first:
            continue
        last = (*deque(tasks, maxlen=1), first[-1])[0]
        spec, view = stage.view.spec, stage.view
        needs = (
            counted(spec.resources.slots, "slot")
            if spec.multi_instance is None
            else counted(spec.multi_instance.nodes, "node")
        )
        name = f"{view.name}: " if view.name else ""
        after = f", after {', '.join(view.after)}" if view.after else ""
        yield _Shown(
            line=f"{name}{_number(job, stage)}, each {needs}{after}",
            name=view.name,
            count=job.count_of(stage),
            first=first,
            last=last,
            given=_given(stage, {task.index for task in (*first, last)}),
        )


def _number(job: JobPlan, stage: CheckedStage) -> str:
    """How many tasks of a stage are sent; of a rerun, of how many, because the others are kept."""
    number = f"{job.count_of(stage):,}"
    return number if job.only is None else f"{number} of {stage.rows.count:,} again"


def _given(stage: CheckedStage, positions: Collection[int]) -> dict[int, Values]:
    """The parameters of the tasks at some positions."""
    rows = enumerate(islice(stage.rows.each(), max(positions) + 1))
    names = stage.rows.names
    return {
        at: dict(zip(names, row, strict=True)) if names != ("repeat",) else {}
        for at, row in rows
        if at in positions
    }


def planned(options: RunOptions) -> tuple[JobPlan, dict[Path, Contents]]:
    """The job as it would be sent, and what is in its files. Builds and sends nothing.

    Raises:
        InputError: With every finding.
    """
    checked = checked_workload(options)
    with content_cache() as cache:
        contents = contents_of(checked, cache)
    job_id = options.job_id or new_job_id(checked.workload)
    ran = () if options.again is None else ran_before(options.again, options.job_id)
    return plan(checked, contents, job_id=job_id, only=options.only, ran=ran), contents
