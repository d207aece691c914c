"""From a workload with a `schedule` to a job schedule of Batch, sent once.

Batch makes the jobs, at any time and when nobody is there; so everything that they need is
in storage before the schedule is added, by content: programs, inputs, and the tasks
themselves (`jobs.task_files`), which each job's manager task adds (`jobs.job_manager`).
Nodes read all of it, and add tasks, with the pool's identity: no signature that could run
out, and no key. (The emulator without TLS has keys, and tokens of tasks.)

Adding the schedule is the last request and the only one that counts. Killed before it,
nothing is there; repeated after it, the schedule is found to be the same by the digest in
its metadata.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from jobs.contents import ContentCache, Contents
from jobs.durations import parse_seconds, spoken
from jobs.errors import (
    InputError,
    NotFoundError,
    ServiceError,
    TakenError,
    WorkloadError,
    shown,
)
from jobs.inputs import NodeFile
from jobs.job_schedules import OVER, over_text
from jobs.loading import LoadedWorkload
from jobs.looks import moment_of
from jobs.managed import MANAGER_ID
from jobs.plan import META_PLAN, META_WORKLOAD, JobPlan
from jobs.reasons import differing
from jobs.schedule_notes import read_note
from jobs.service import BatchService, segment
from jobs.session import Session
from jobs.spec_schedule import Schedule
from jobs.stage import Staged, stage
from jobs.submit import metadata_of
from jobs.task_bodies import Places
from jobs.task_files import placeholder_of

META_SCHEDULE = "jobs.schedule"
MANAGER_RETRIES = 3
_SCRIPT = Path(__file__).with_name("job_manager.py")
_RETENTION = "P7D"
_SHOWN_RUNS = 3
_SENDING = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePlan:
    """A schedule as it is sent.

    Attributes:
        job: What each of its jobs is made from; `job_id` is the schedule's id.
        timing: When it makes them.
        body: For the service, without when it makes jobs, which depends on when it is sent.
        digest: Of all that decides on it; two plans with the same digest do the same.
        files: What the manager task gets besides what the tasks get.
        contents: What is in these.
    """

    job: JobPlan
    timing: Schedule
    body: Mapping[str, Any]
    digest: str
    files: tuple[NodeFile, ...]
    contents: Mapping[Path, Contents]

    @property
    def id(self) -> str:
        """The schedule's id."""
        return self.job.job_id

    def sent(self, now: datetime) -> dict[str, Any]:
        """All that is sent to the service at an instant."""
        return {**self.body, "schedule": self.timing.wire(now)}

    @property
    def size(self) -> int:
        """Bytes of the files of the manager task."""
        return sum(self.contents[file.local].size for file in self.files)


def plan_schedule(job: JobPlan, task_files: Sequence[NodeFile]) -> SchedulePlan:
    """The schedule whose jobs are those of a plan.

    Args:
        job: The plan; its workload has a `schedule`.
        task_files: What `write_task_files` wrote of it.

    Raises:
        InputError: One of the files cannot be read.
    """
    timing = job.checked.workload.spec.schedule
    assert timing is not None  # noqa: S101 - the caller asked
    script = NodeFile(local=_SCRIPT, node_path=_SCRIPT.name, executable=False)
    contents = ContentCache(None).look([_SCRIPT, *(file.local for file in task_files)])
    places = Places(checked=job.checked, contents=contents)
    manager: dict[str, Any] = {
        "id": MANAGER_ID,
        "displayName": "adds the tasks of the job",
        "commandLine": f"python3 {script.node_path} {placeholder_of(job)}",
        "resourceFiles": [places.program(script)],
        "constraints": {"maxTaskRetryCount": MANAGER_RETRIES, "retentionTime": _RETENTION},
        "outputFiles": [_log_files(job)],
        "killJobOnCompletion": False,
        "runExclusive": False,
        **_container_of(job),
    }
    if job.checked.stack.authentication == "entra":
        manager["commandLine"] += f" {shlex.quote(str(job.checked.pool.identity_id))}"
    else:
        manager["authenticationTokenSettings"] = {"access": ["job"]}
    members = {name: value for name, value in job.body.items() if name != "id"}
    members |= {"onAllTasksComplete": "terminatejob", "jobManagerTask": manager}
    # Without the task files: the plan's digest stands for them, however they are packed.
    digest = hashlib.sha256(orjson.dumps([job.digest, timing.wire(), members])).hexdigest()
    manager["resourceFiles"] += [places.data(file) for file in task_files]
    metadata = {META_WORKLOAD: job.checked.workload.spec.name, META_SCHEDULE: digest}
    return SchedulePlan(
        job=job,
        timing=timing,
        body={
            "id": job.job_id,
            "jobSpecification": members,
            "metadata": [{"name": name, "value": value} for name, value in metadata.items()],
        },
        digest=digest,
        files=(script, *task_files),
        contents=contents,
    )


def _log_files(job: JobPlan) -> dict[str, Any]:
    """The manager task's log: below a directory that is named after the job that it is in."""
    stack = job.checked.stack
    return {
        "filePattern": "log/**/*.txt",
        "destination": {
            "container": {
                "containerUrl": f"{stack.blob_endpoint}/{stack.logs_container}",
                "identityReference": job.checked.pool.identity_reference,
            }
        },
        "uploadOptions": {"uploadCondition": "taskcompletion"},
    }


def _container_of(job: JobPlan) -> dict[str, Any]:
    """On nodes that run containers the service wants every task of a job in one.

    Source: `BatchJobManagerTask.containerSettings` of azure-batch. The files are in the task's
    directory, so that the manager task starts there, whatever the image says.
    """
    for tasks in job.stages():
        first = next(tasks, None)
        settings = {} if first is None else orjson.loads(first.body).get("containerSettings", {})
        if settings:
            kept = {k: v for k, v in settings.items() if k in {"imageName", "registry"}}
            return {"containerSettings": kept}
    return {}


def stage_schedule(plan: SchedulePlan, session: Session) -> Staged:
    """Sends the manager task's files to storage, if they are not there.

    Raises:
        ServiceError: Storage refuses.
    """
    stack = plan.job.checked.stack
    script, *tasks = plan.files
    programs = session.container(stack.programs_container)
    inputs = session.container(stack.inputs_container)
    return stage([script], plan.contents, programs) + stage(tasks, plan.contents, inputs)


def add_schedule(plan: SchedulePlan, service: BatchService, root: Path | None = None) -> bool:
    """Adds a schedule; false if it is there already and does the same.

    Args:
        plan: The schedule.
        service: Where.
        root: Where result trees are, and so what is noted of the one that is there.

    Raises:
        TakenError: One of its id is there and does something else, or is over.
        ServiceError: Refused.
    """
    doing = f"adding schedule {plan.id}"
    if plan.timing.recurs_from_start:
        # for its clock, as it is after everything was staged
        service.get("/jobschedules", doing, **{"$select": "id", "maxresults": "1"})
    try:
        service.call("POST", "/jobschedules", doing, body=plan.sent(_soon(service)))
    except ServiceError as error:
        if error.code in OVER:
            raise TakenError(over_text(plan.id, OVER[error.code])) from error
        if error.code != "JobScheduleExists":
            raise
        there = service.get(f"/jobschedules/{segment(plan.id)}", doing)
        if there["state"] in OVER.values():
            raise TakenError(over_text(plan.id, there["state"])) from error
        if metadata_of(there).get(META_SCHEDULE) != plan.digest:
            raise TakenError(
                f"schedule {plan.id} exists and does something else{_other(plan, there, root)}. "
                "Let its next jobs be those of this workload: python -m jobs schedule update "
                f"{shlex.quote(shown(plan.job.checked.workload.path))}; or remove it "
                f"(python -m jobs schedule delete {plan.id}), or take another id (--job-id)"
            ) from error
        return False
    return True


def _other(plan: SchedulePlan, there: Mapping[str, Any], root: Path | None) -> str:
    """What of it is not what a plan says, as far as that is known here."""
    made = metadata_of(there.get("jobSpecification") or {}).get(META_PLAN, "")
    if made == plan.job.digest:
        return " (the same tasks, at other times or with other tags)"
    note = None if root is None else read_note(plan.id, root, made)
    changes = None if note is None else differing(note.tree, plan.job.parts)
    return f" ({', '.join(changes)})" if changes else ""


def update_schedule(plan: SchedulePlan, service: BatchService) -> None:
    """Lets the next jobs of a schedule be those of a plan; jobs that there are stay.

    Raises:
        InputError: It is over.
        NotFoundError: There is no such schedule.
        ServiceError: Refused.
    """
    path, doing = f"/jobschedules/{segment(plan.id)}", f"updating schedule {plan.id}"
    try:
        there = service.get(path, doing)
        now = _soon(service)
        body = plan.sent(now)
        del body["id"]
        if _keeps_turns(there["schedule"], body["schedule"], now):
            body["schedule"]["doNotRunUntil"] = there["schedule"]["doNotRunUntil"]
        service.call("PATCH", path, doing, body=body)
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no schedule {plan.id}: add it with python -m jobs run", code=error.code
        ) from error
    except ServiceError as error:
        if error.code in OVER:
            raise InputError(over_text(plan.id, OVER[error.code])) from error
        raise


def _soon(service: BatchService) -> datetime:
    """A little after now, by the service's clock: turns that come before are left out.

    Where the first turn has passed by the time when the service reads of it, it counts all
    turns from then.
    """
    now = datetime.now(UTC) if service.date is None else datetime.fromtimestamp(service.date, UTC)
    return now + _SENDING


def _keeps_turns(there: Mapping[str, Any], new: Mapping[str, Any], now: datetime) -> bool:
    """Whether a schedule that has begun goes on with the turns that it has.

    Told another first one, the service would forget a job that is due and waits for the one
    that runs.
    """
    names = ("recurrenceInterval", "doNotRunUntil")
    if not all(timing.get(name) for name in names for timing in (there, new)):
        return False
    every, same = (parse_seconds(timing["recurrenceInterval"]) for timing in (there, new))
    begun, first = (moment_of(timing["doNotRunUntil"]) for timing in (there, new))
    return every == same and begun <= now and (first - begun).total_seconds() % every == 0


def require_time(workload: LoadedWorkload, now: datetime) -> None:
    """Refuses a schedule that would never make a job.

    Raises:
        WorkloadError: Its end has passed, or comes before its next turn.
    """
    timing = workload.spec.schedule
    if timing is None:
        return
    if timing.until is not None and timing.until <= now:
        why = "has passed"
    elif next(occurrences(timing, now), None) is None:
        why = "comes before the next turn that is counted from `start`"
    else:
        return
    key = "every" if timing.until is None else "until"
    finding = workload.finding(f"{why}: there would be no job", "schedule", key)
    raise WorkloadError([finding])


def occurrences(timing: Schedule, now: datetime) -> Iterator[datetime]:
    """When jobs are due, from now on, for a schedule that is added now.

    A job that is not over when the next one is due delays that one; nobody knows it
    beforehand.
    """
    try:
        at = timing.due_from(now)
    except OverflowError:
        return
    while timing.until is None or at <= timing.until:
        yield at
        if timing.every is None:
            return
        try:
            at += timing.every
        except OverflowError:
            return


def first_runs(timing: Schedule, now: datetime) -> list[datetime]:
    """The first few of these."""
    return list(islice(occurrences(timing, now), _SHOWN_RUNS))


def timing_text(timing: Schedule) -> str:
    """When it makes jobs, in words: `every 1d00h from 2026-12-01 06:00 UTC`."""
    parts = ["once" if timing.every is None else f"every {_span(timing.every)}"]
    if timing.start is not None:
        parts.append(f"from {moment_text(timing.start)}")
    if timing.until is not None:
        parts.append(f"until {moment_text(timing.until)}")
    if timing.start_window is not None:
        parts.append(f"each within {_span(timing.start_window)}")
    return " ".join(parts)


def moment_text(moment: datetime) -> str:
    """An instant for a person: `2026-12-01 06:00 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _span(span: timedelta) -> str:
    return spoken(span.total_seconds())
