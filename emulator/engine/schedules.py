"""Transitions of job schedules: when they make a job, and when they are over.

A schedule has occurrences: one, or one every interval, counted from its creation or from
`doNotRunUntil`. At an occurrence a job is due; it is made as soon as the schedule's last
job is over, unless the start window has passed by then, or the next occurrence has come,
whose job is then due in its place. Instants are those of the wall: `--service-speed` does
not make a day shorter.

Source: `BatchJobScheduleConfiguration` of the service's reference, and recordings.
"""

from __future__ import annotations

from typing import Any

from emulator.engine import auto_pools, jobs
from emulator.engine.core import Core
from emulator.engine.refusal import Refused
from emulator.engine.world import Job, Schedule, ScheduleState, Timing

_RETRY_S = 60.0
"""Until a job that could not be made (a quota) is tried again."""
_CLOSED = {
    "terminating": "JobScheduleBeingTerminated",
    "completed": "JobScheduleCompleted",
    "deleting": "JobScheduleBeingDeleted",
}


def get(core: Core, schedule_id: str) -> Schedule:
    """The job schedule of an id.

    Raises:
        Refused: `JobScheduleNotFound`.
    """
    schedule = core.world.schedules.get(schedule_id.lower())
    if schedule is None:
        raise Refused("JobScheduleNotFound")
    return schedule


def add(
    core: Core,
    schedule_id: str,
    body: dict[str, Any],
    *,
    timing: Timing,
    wall_clock: int,
    retention: int,
) -> Schedule:
    """Adds a job schedule; its first job is made at once, unless it is to wait.

    Raises:
        Refused: `JobScheduleExists`, `JobScheduleBeingDeleted`,
            `ActiveJobAndScheduleQuotaReached`.
    """
    key = schedule_id.lower()
    existing = core.world.schedules.get(key)
    if existing is not None:
        deleting = existing.state == "deleting"
        raise Refused("JobScheduleBeingDeleted" if deleting else "JobScheduleExists")
    jobs.check_quota(core)
    schedule = Schedule(
        id=schedule_id,
        key=key,
        body=body,
        timing=timing,
        wall_clock=wall_clock,
        retention=retention,
        created=core.now,
        modified=core.now,
        since=core.now,
        seq=core.next_number(),
    )
    core.world.schedules[key] = schedule
    schedule.next_run = _first(schedule)
    core.save(schedule)
    core.look_at[schedule] = None
    return schedule


def _first(schedule: Schedule) -> int | None:
    return _unless_too_late(schedule, max(schedule.created, schedule.timing.until or 0))


def _unless_too_late(schedule: Schedule, at: int) -> int | None:
    after = schedule.timing.after
    return at if after is None or at <= after else None


def _following(schedule: Schedule, now: int) -> int | None:
    """The first occurrence after an instant."""
    first, interval = _first(schedule), schedule.timing.interval
    if first is None or first > now:
        return first
    if interval is None:
        return None
    return _unless_too_late(schedule, first + ((now - first) // interval + 1) * interval)


def check_open(schedule: Schedule) -> None:
    """Refuses what a schedule that is over cannot take.

    Raises:
        Refused: `JobScheduleBeingTerminated`, `JobScheduleCompleted` or
            `JobScheduleBeingDeleted`.
    """
    if schedule.state in _CLOSED:
        raise Refused(_CLOSED[schedule.state])


def _touch(core: Core, schedule: Schedule) -> None:
    core.touch(schedule)
    core.look_at[schedule] = None


def _set_state(core: Core, schedule: Schedule, state: ScheduleState) -> None:
    if schedule.state in {"active", "disabled", "completed"}:
        schedule.previous, schedule.previous_since = schedule.state, schedule.since
    schedule.state, schedule.since = state, core.now
    core.save(schedule)
    core.look_at[schedule] = None


# What clients ask for


def change(
    core: Core,
    schedule: Schedule,
    body: dict[str, Any],
    *,
    timing: Timing,
    wall_clock: int,
    retention: int,
) -> None:
    """Replaces what a client wrote; jobs that were made stay as they are.

    Raises:
        Refused: The schedule is over.
    """
    check_open(schedule)
    asked = auto_pools.specification(body["jobSpecification"]["poolInfo"])
    if asked is None or asked["poolLifetimeOption"] != "jobschedule":
        _drop_pool(core, schedule)
        schedule.pool_id = ""
    schedule.body = body
    schedule.wall_clock, schedule.retention = wall_clock, retention
    if timing != schedule.timing:
        schedule.timing = timing
        schedule.next_run = _following(schedule, core.now) if schedule.runs else _first(schedule)
        if schedule.next_run is not None and schedule.next_run > core.now:
            schedule.due = None
    _touch(core, schedule)


def disable(core: Core, schedule: Schedule) -> None:
    """Lets the schedule make no job; the one that runs goes on.

    Raises:
        Refused: It is over, or disabled already.
    """
    check_open(schedule)
    if schedule.state == "disabled":
        raise Refused("JobScheduleDisabled")
    _touch(core, schedule)
    _set_state(core, schedule, "disabled")


def enable(core: Core, schedule: Schedule) -> None:
    """Lets the schedule make jobs again; one that is still due is made at once.

    Raises:
        Refused: It is over, or not disabled.
    """
    check_open(schedule)
    if schedule.state != "disabled":
        raise Refused("JobScheduleNotDisabled")
    _touch(core, schedule)
    _set_state(core, schedule, "active")


def terminate(core: Core, schedule: Schedule) -> None:
    """Ends the schedule, and the job that runs.

    Raises:
        Refused: It is over.
    """
    check_open(schedule)
    _touch(core, schedule)
    _end(core, schedule)


def _end(core: Core, schedule: Schedule) -> None:
    schedule.due = None
    _set_state(core, schedule, "terminating")
    job = _unfinished(core, schedule)
    if job is not None:
        jobs.end_of_schedule(core, job)


def delete(core: Core, schedule: Schedule) -> None:
    """Removes the schedule with all its jobs.

    Raises:
        Refused: `JobScheduleBeingDeleted`.
    """
    if schedule.state == "deleting":
        raise Refused("JobScheduleBeingDeleted")
    schedule.due = schedule.ended = None
    _set_state(core, schedule, "deleting")
    for job in jobs_of(core, schedule):
        if job.state != "deleting":
            jobs.delete(core, job)


# What time and jobs do to it


def jobs_of(core: Core, schedule: Schedule) -> list[Job]:
    """Its jobs, the oldest first."""
    return [job for job in core.world.jobs.values() if job.schedule == schedule.key]


def _unfinished(core: Core, schedule: Schedule) -> Job | None:
    job = core.world.jobs.get(schedule.job)
    return None if job is None or job.state in {"completed", "deleting"} else job


def settle(core: Core, schedule: Schedule) -> None:
    """Makes the job that is due; ends the schedule that has nothing left to do."""
    if core.world.schedules.get(schedule.key) is not schedule or schedule.state == "completed":
        return
    if schedule.state == "deleting":
        if not jobs_of(core, schedule):
            _drop_pool(core, schedule)
            del core.world.schedules[schedule.key]
            core.forget(schedule)
        return
    refused = False
    if schedule.state != "terminating":
        _pass(core, schedule)
        if schedule.due is not None and schedule.state == "active":
            refused = not _make_job(core, schedule)
        if _has_nothing_left(core, schedule):
            _set_state(core, schedule, "terminating")
    if schedule.state == "terminating" and _unfinished(core, schedule) is None:
        schedule.ended = core.now
        _drop_pool(core, schedule)
        _set_state(core, schedule, "completed")
    else:
        _wait(core, schedule, refused=refused)


def _pass(core: Core, schedule: Schedule) -> None:
    """Counts the occurrences that have come, and forgets what is due no more."""
    if schedule.next_run is not None and schedule.next_run <= core.now:
        interval = schedule.timing.interval or 0
        late = (core.now - schedule.next_run) // interval if interval else 0
        schedule.due = schedule.next_run + late * interval
        schedule.next_run = _following(schedule, core.now)
        core.save(schedule)
    window, after = schedule.timing.window, schedule.timing.after
    if schedule.due is not None:
        lost = window is not None and core.now > schedule.due + window
        if lost or (after is not None and core.now > after):
            schedule.due = None
            core.save(schedule)


def _make_job(core: Core, schedule: Schedule) -> bool:
    """Makes the job that is due, unless another runs; false when it is refused."""
    if _unfinished(core, schedule) is not None:
        return True
    job_id = f"{schedule.id}:job-{schedule.runs + 1}"
    try:
        job = jobs.add(
            core,
            job_id,
            dict(schedule.body["jobSpecification"]),
            wall_clock=schedule.wall_clock,
            retention=schedule.retention,
            schedule=schedule,
        )
    except Refused:
        return False
    schedule.runs += 1
    schedule.job, schedule.due = job.key, None
    core.save(schedule)
    return True


def _has_nothing_left(core: Core, schedule: Schedule) -> bool:
    if _unfinished(core, schedule) is not None:
        return False
    after = schedule.timing.after
    if after is not None and (core.now >= after or schedule.timing.interval is not None):
        return core.now >= after
    return schedule.next_run is None and schedule.due is None


def _wait(core: Core, schedule: Schedule, *, refused: bool) -> None:
    """Looks at the schedule again when something may be due, or no more."""
    schedule.generation += 1
    timing = schedule.timing
    instants = [schedule.next_run, timing.after]
    if schedule.due is not None and timing.window is not None:
        instants.append(schedule.due + timing.window + 1)
    if refused:
        core.after(_RETRY_S, _look, schedule, schedule.generation)
    for at in instants:
        if at is not None and at > core.now:
            core.at(at, _look, schedule, schedule.generation)


def _look(core: Core, schedule: Schedule, generation: int) -> None:
    if schedule.generation == generation:
        core.look_at[schedule] = None


def _drop_pool(core: Core, schedule: Schedule) -> None:
    asked = auto_pools.specification(schedule.body["jobSpecification"]["poolInfo"])
    auto_pools.drop(core, schedule.pool_id, asked)
