"""Transitions of jobs: added, changed, disabled, terminated, deleted; and when they are over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.clock import MAX_TICKS, from_datetime
from emulator.engine import attempts, auto_pools, effects, statistics, tasks
from emulator.engine.core import Core
from emulator.engine.failures import wire_failure
from emulator.engine.indexes import manager_settings
from emulator.engine.refusal import Refused
from emulator.engine.world import Attempt, Job, Node, Preparation, Schedule
from emulator.nodes.interface import TaskOutcome

_OPEN = frozenset({"active", "disabled", "disabling", "enabling"})


def get(core: Core, job_id: str) -> Job:
    """The job of an id.

    Raises:
        Refused: `JobNotFound`.
    """
    job = core.world.jobs.get(job_id.lower())
    if job is None:
        raise Refused("JobNotFound")
    return job


def add(
    core: Core,
    job_id: str,
    body: dict[str, Any],
    *,
    wall_clock: int,
    retention: int = MAX_TICKS,
    schedule: Schedule | None = None,
) -> Job:
    """Adds a job, with its manager task, and the pool that its specification may ask for.

    Args:
        core: The engine's state.
        job_id: As its client wrote it, or as its schedule names it.
        body: Normalised, without the id.
        wall_clock: Its limit, in ticks.
        retention: Of its manager task's files, in ticks.
        schedule: Which makes it; None for a client.

    Raises:
        Refused: `JobExists`, `JobBeingDeleted`, `ActiveJobAndScheduleQuotaReached`, or
            `InvalidPropertyValue` for the lifetime of its pool.
    """
    key = job_id.lower()
    existing = core.world.jobs.get(key)
    if existing is not None:
        raise Refused("JobBeingDeleted" if existing.state == "deleting" else "JobExists")
    check_quota(core)
    if schedule is None:
        auto_pools.check_lifetime(body["poolInfo"])
    asked, error = auto_pools.specification(body["poolInfo"]), None
    if asked is None:
        pool_id: str = body["poolInfo"]["poolId"]
    else:
        pool_id, error = auto_pools.provide(core, asked, schedule)
    job = Job(
        id=job_id,
        key=key,
        body=body,
        pool_id=pool_id,
        pool_key=pool_id.lower(),
        created=core.now,
        modified=core.now,
        since=core.now,
        seq=core.next_number(),
        started=core.now,
        auto_pool=asked is not None and asked["poolLifetimeOption"] == "job",
        scheduling_error=error,
        schedule=schedule.key if schedule else "",
    )
    core.world.add_job(job)
    limit_wall_clock(core, job, wall_clock)
    if "jobManagerTask" in body:
        _add_manager(core, job, retention)
    if error is not None:
        _terminate(core, job, None)
    return job


def check_quota(core: Core) -> None:
    """Refuses what would be one active job or schedule too many.

    Raises:
        Refused: `ActiveJobAndScheduleQuotaReached`.
    """
    if core.world.active_jobs + core.world.active_schedules >= core.settings.max_active_jobs:
        raise Refused("ActiveJobAndScheduleQuotaReached")


_OF_MANAGERS_ONLY = frozenset({"killJobOnCompletion", "runExclusive", "allowLowPriorityNode"})


def _add_manager(core: Core, job: Job, retention: int) -> None:
    settings = manager_settings(job).items()
    body = {name: value for name, value in settings if name not in _OF_MANAGERS_ONLY}
    tasks.add(core, job, body, retention, manager=True)


def limit_wall_clock(core: Core, job: Job, wall_clock: int) -> None:
    """Terminates the job when its wall-clock limit is over, unless that changes meanwhile."""
    job.wall_clock = wall_clock
    core.save(job)
    if wall_clock < MAX_TICKS:
        core.at(job.created + wall_clock, _too_long, job, wall_clock)


def _too_long(core: Core, job: Job, wall_clock: int) -> None:
    if job.state in _OPEN and job.wall_clock == wall_clock:
        _terminate(core, job, "MaxWallClockTimeExpiry")


def change(core: Core, job: Job, members: Mapping[str, Any], wall_clock: int | None) -> None:
    """Replaces each member given, whole.

    Raises:
        Refused: The job is over, or would move to another pool while it is active, or
            what it asks of its auto pool cannot be changed.
    """
    tasks.check_open(job)
    info = members.get("poolInfo")
    if info:
        auto_pools.check_change(job, info)
    if info and "poolId" in info:
        if info["poolId"].lower() != job.pool_key:
            if job.state != "disabled":
                raise Refused("OperationInvalidForCurrentState")
            _drop_auto_pool(core, job)
            core.world.move_job(job, info["poolId"])
        job.auto_pool = False
    job.body = {**job.body, **members}
    core.touch(job)
    if wall_clock is not None:
        limit_wall_clock(core, job, wall_clock)
    core.check[job] = None
    core.wake[job.pool_key] = None


def disable(core: Core, job: Job, option: str) -> None:
    """Lets no task of the job start any more.

    Raises:
        Refused: The job is over, or disabled already.
    """
    tasks.check_open(job)
    if job.state in {"disabled", "disabling"}:
        raise Refused("JobDisabled")
    core.touch(job)
    core.world.set_job_state(job, "disabling", core.now)
    if option != "wait":
        for attempt in list(job.attempts.values()):
            tasks.call_off(core, attempt, "terminate" if option == "terminate" else "requeue")
    core.check[job] = None


def enable(core: Core, job: Job) -> None:
    """Lets tasks of the job start again.

    Raises:
        Refused: The job is over, or not disabled.
    """
    tasks.check_open(job)
    if job.state not in {"disabled", "disabling"}:
        raise Refused("JobNotDisabled")
    core.touch(job)
    core.world.set_job_state(job, "active", core.now)
    core.wake[job.pool_key] = None


def terminate(core: Core, job: Job, reason: str) -> None:
    """Ends the job at a client's request; tasks that wait stay as they are.

    Raises:
        Refused: The job is over.
    """
    tasks.check_open(job)
    core.touch(job)
    _terminate(core, job, reason)


def end_of_schedule(core: Core, job: Job) -> None:
    """Ends the job because its schedule ends."""
    if job.state in _OPEN:
        _terminate(core, job, "TerminateJobSchedule")


def is_open(job: Job) -> bool:
    """Whether it is still to run, or runs."""
    return job.state in _OPEN


def _terminate(core: Core, job: Job, reason: str | None) -> None:
    job.terminate_reason = reason
    core.world.set_job_state(job, "terminating", core.now)
    core.save(job)
    for attempt in list(job.attempts.values()):
        tasks.call_off(core, attempt, "terminate")
    core.check[job] = None


def delete(core: Core, job: Job) -> None:
    """Ends the job and removes it with its tasks and their files.

    Raises:
        Refused: `JobBeingDeleted`.
    """
    if job.state == "deleting":
        raise Refused("JobBeingDeleted")
    core.world.set_job_state(job, "deleting", core.now)
    core.save(job)
    for attempt in list(job.attempts.values()):
        tasks.call_off(core, attempt, "terminate")
    core.check[job] = None


# When it is over


def settle(core: Core, job: Job) -> None:
    """Moves a job on whose last task ended, or whose last process is gone."""
    if core.world.jobs.get(job.key) is not job:
        return
    action, job.action = job.action, ""
    if job.state in _OPEN and action == "terminate":
        _terminate(core, job, "TaskFailed")
    elif job.state in _OPEN and action == "complete":
        _terminate(core, job, "JMComplete")
    elif job.state == "active" and action == "disable":
        disable(core, job, "requeue")
    elif job.state == "active" and _all_done(job):
        _terminate(core, job, "AllTasksCompleted")
    if job.attempts:
        return
    if job.state == "disabling":
        core.after(core.settings.job_transition_s, _disabled, job, job.since)
    elif job.state in {"terminating", "deleting"} and _released(core, job):
        wait_s = (
            core.settings.job_termination_s
            if job.state == "terminating"
            else core.settings.job_deletion_s
        )
        core.after(wait_s, _over, job, job.since)


def _all_done(job: Job) -> bool:
    return (
        job.body["onAllTasksComplete"] == "terminatejob"
        and len(job.tasks) > 0
        and not job.counts.active
        and not job.counts.running
    )


def _disabled(core: Core, job: Job, since: int) -> None:
    if job.state == "disabling" and job.since == since and not job.attempts:
        core.world.set_job_state(job, "disabled", core.now)
        core.save(job)


def _over(core: Core, job: Job, since: int) -> None:
    if job.since != since or core.world.jobs.get(job.key) is not job:
        return
    _drop_auto_pool(core, job)
    if job.state == "terminating":
        core.world.set_job_state(job, "completed", core.now)
        job.ended = core.now
        core.save(job)
        _tell_schedule(core, job)
    elif job.state == "deleting":
        schedule = core.world.schedules.get(job.schedule)
        if schedule is not None:
            statistics.job_gone(schedule, job, core.now)
            core.save(schedule)
        for task in list(job.tasks.values()):
            if task.files:
                core.effects.append(effects.RemoveFiles(task))
        for pool in core.world.pools.values():
            for node in pool.nodes.values():
                node.preparations.pop(job.key, None)
                node.releases.pop(job.key, None)
        core.world.remove_job(job)
        core.forget(job)
        _tell_schedule(core, job)


def _tell_schedule(core: Core, job: Job) -> None:
    schedule = core.world.schedules.get(job.schedule)
    if schedule is not None:
        core.look_at[schedule] = None


def _drop_auto_pool(core: Core, job: Job) -> None:
    if job.auto_pool:
        auto_pools.drop(core, job.pool_id, auto_pools.specification(job.body["poolInfo"]))


# Preparation and release tasks


def prepare(core: Core, job: Job, node: Node, attempt: Attempt) -> bool:
    """Whether a placed task may be launched; if not yet, it waits for the preparation."""
    spec: dict[str, Any] | None = job.body.get("jobPreparationTask")
    if spec is None:
        return True
    preparation = node.preparations.get(job.key)
    if preparation is None:
        preparation = node.preparations[job.key] = Preparation(kind="preparation", start=core.now)
        _launch(core, job, node, preparation, spec["id"])
    elif preparation.state == "completed":
        return True
    if not spec["waitForSuccess"]:
        return True
    preparation.waiting.append(attempt)
    return False


def barred(job: Job, node: Node) -> bool:
    """Whether the job's preparation failed on the node, so that no task of it goes there."""
    preparation = node.preparations.get(job.key)
    return (
        preparation is not None
        and preparation.state == "completed"
        and not preparation.ok
        and bool(job.body["jobPreparationTask"]["waitForSuccess"])
    )


def _launch(core: Core, job: Job, node: Node, preparation: Preparation, task_id: str) -> None:
    attempt = attempts.new_attempt(core, preparation.kind, node, job=job, task_id=task_id)
    core.effects.append(effects.Launch(attempt))


def _released(core: Core, job: Job) -> bool:
    """Whether the release tasks are over; starts those that were not."""
    spec: dict[str, Any] | None = job.body.get("jobReleaseTask")
    if spec is None:
        return True
    pool = core.world.pools.get(job.pool_key)
    for node in list(pool.nodes.values()) if pool else ():
        up = node.state in {"idle", "running", "offline"} and not node.leaving
        if job.key in node.preparations and job.key not in node.releases and up:
            node.releases[job.key] = release = Preparation(kind="release", start=core.now)
            _launch(core, job, node, release, spec["id"])
    return not job.attempts


def step_ended(core: Core, attempt: Attempt, outcome: TaskOutcome | None) -> None:
    """A preparation or release task is over."""
    attempts.release(core, attempt)
    node, job = attempt.node, attempt.job
    if job is None:
        return
    found = node.preparations if attempt.kind == "preparation" else node.releases
    step = found.get(job.key)
    if step is None:
        return
    if outcome is None:
        del found[job.key]
        for held in list(step.waiting):
            tasks.call_off(core, held, "requeue")
        return
    step.start = from_datetime(outcome.start_time)
    step.end = from_datetime(outcome.end_time)
    step.exit_code = outcome.exit_code
    step.failure = wire_failure(outcome.failure)
    step.ok = step.failure is None
    if attempt.kind == "preparation" and not step.ok:
        spec = job.body["jobPreparationTask"]
        limit = spec["constraints"]["maxTaskRetryCount"]
        if (limit < 0 or step.retry_count < limit) and not attempt.intent:
            step.retry_count += 1
            _launch(core, job, node, step, spec["id"])
            return
    step.state = "completed"
    waiting, step.waiting = step.waiting, []
    for held in waiting:
        if step.ok and not held.intent:
            tasks.run(core, held)
        else:
            held.intent = held.intent or "requeue"
            tasks.ended(core, held, None)
