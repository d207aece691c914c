"""Sends a job and its tasks, each exactly once.

How its tasks are added is `jobs.task_collections`'. The job is born with
`jobs.submission: unfinished` in its metadata and says `complete` only in the request that also
lets it end with its last task, so that whoever finds it later knows whether somebody must go on
(`resume`).

Stages are sent one after the other: a task is added when all that it waits for are in.
"""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from jobs.errors import InputError, NotFoundError, ServiceError, TakenError, UnavailableError
from jobs.exits import acts_on_job
from jobs.plan import META_PLAN, META_SUBMISSION, SUBMITTED, JobPlan
from jobs.selection import position
from jobs.service import BatchService, segment
from jobs.stages import stage_number
from jobs.task_bodies import PlannedTask
from jobs.task_collections import CountedTasks, Progress, add_all, another_task

_LOG = logging.getLogger(__name__)
Made = Callable[[], None]
OVER_CODES = frozenset({"JobCompleted", "JobBeingTerminated", "JobBeingDeleted"})
"""With which the service refuses what a job that has ended, or is ending, cannot do any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a submission did.

    Attributes:
        added: Tasks that are in because of it.
        present: Tasks that were in already, or that somebody else has added at the same time.
        stopped: Whether the job was ended by a task's failure before all were in.
    """

    added: int
    present: int
    stopped: bool = False


def submit(
    plan: JobPlan,
    service: BatchService,
    *,
    resume: bool = False,
    existed: bool = False,
    trial: Sequence[int] | None = None,
    progress: Progress | None = None,
    made: Made = lambda: None,
) -> Submitted:
    """Creates the job, adds its tasks, and lets it end when they are done.

    Args:
        plan: What to send.
        service: Where to.
        resume: Whether the job may exist already: then only missing tasks are added.
        existed: Whether it is known to have existed: if it is gone by now, it is not made again.
        trial: Only so many first tasks of each stage are added; the job stays open, and its
            submission unfinished, until it is resumed.
        progress: Called with the number of tasks that are in, as it grows.
        made: Called once the job is there, and before any task is added.

    Raises:
        InputError: A job of that id exists and is another one, or was deleted since.
        ServiceError: Refused. What this call had made is deleted again, unless the
            service cannot be reached.
    """
    path = f"/jobs/{segment(plan.job_id)}"
    existing = _begin(plan, service, path, resume=resume, existed=existed, made=made)
    if existing is not None and metadata_of(existing).get(META_SUBMISSION) == SUBMITTED:
        return Submitted(added=0, present=plan.count)
    present = _present(service, plan, path) if existing is not None else dict[int, str]()
    is_whole = partial(_is_whole, service, path, plan.job_id)
    counter = CountedTasks(progress)
    counter.add(len(present))
    stopped = False
    try:
        all_of_each: Sequence[int | None] = [None] * len(plan.checked.stages)
        numbers = all_of_each if trial is None else trial
        for stage, number in zip(plan.stages(), numbers, strict=True):
            missing = _missing(islice(stage, number), present)
            add_all(missing, service, path, counter, is_whole)
        if trial is None and not counter.whole:
            _close(plan, service, path)
    except UnavailableError:
        raise
    except (ServiceError, InputError) as error:
        if _stopped_by_a_task(error, plan, service, path):
            stopped = True
        elif isinstance(error, ServiceError) and error.code in OVER_CODES and is_whole():
            counter.whole = True
        else:
            if existing is None:
                _withdraw(service, path, plan.job_id)
            raise
    added = counter.total - len(present)
    there = plan.count - added if counter.whole else len(present)
    return Submitted(added=added, present=there, stopped=stopped)


def _begin(
    plan: JobPlan, service: BatchService, path: str, *, resume: bool, existed: bool, made: Made
) -> dict[str, Any] | None:
    """The job that was there before, or None once it is made; arguments as of `submit`."""
    existing = (
        _existing(plan, service, path)
        if existed
        else _create_job(plan, service, path, resume=resume)
    )
    try:
        made()
    except InputError:
        if existing is None:
            _withdraw(service, path, plan.job_id)
        raise
    return existing


def count_there(plan: JobPlan, service: BatchService, *, existed: bool = False) -> Counter[int]:
    """How many tasks of each stage are in a job already, by the stage's number.

    Args:
        plan: Of the job.
        service: Where.
        existed: As of `submit`.

    Raises:
        InputError: The job was deleted since.
        ServiceError: The service refuses.
    """
    path = f"/jobs/{segment(plan.job_id)}/tasks"
    try:
        listed = service.pages(path, f"listing tasks of {plan.job_id}", **{"$select": "id"})
        return Counter(stage_number(position(task["id"])) for task in listed)
    except NotFoundError as error:
        if existed:
            raise _deleted(plan) from error
        return Counter()


def _taken(plan: JobPlan, service: BatchService, path: str) -> str:
    """What to do about a job that is there: only the same work can be gone on with."""
    job = service.get(path, f"reading job {plan.job_id}")
    if metadata_of(job).get(META_PLAN) == plan.body_metadata[META_PLAN]:
        return (
            f"job {plan.job_id} exists already: to finish or repeat its submission, "
            f"python -m jobs resume {plan.job_id}"
        )
    return f"job {plan.job_id} exists already, of another workload: choose another id"


def _create_job(
    plan: JobPlan, service: BatchService, path: str, *, resume: bool
) -> dict[str, Any] | None:
    """The job that was there before, if it is the same one; else makes it."""
    doing = f"creating job {plan.job_id}"
    try:
        service.call("POST", "/jobs", doing, body=plan.body)
    except ServiceError as error:
        if error.code != "JobExists":
            raise
        if not resume and not error.unclear:
            raise TakenError(_taken(plan, service, path)) from error
    else:
        return None
    return _existing(plan, service, path)


def _existing(plan: JobPlan, service: BatchService, path: str) -> dict[str, Any]:
    """The job that is there, if its submission can be gone on with."""
    try:
        job: dict[str, Any] = service.get(path, f"reading job {plan.job_id}")
    except NotFoundError as error:
        raise _deleted(plan) from error
    theirs = metadata_of(job)
    if theirs.get(META_PLAN) != plan.body_metadata[META_PLAN]:
        raise TakenError(
            f"job {plan.job_id} exists and was made from another workload, other files or "
            "another pool: submit this one under a new id"
        )
    if job.get("state") in {"completed", "terminating", "deleting"} and (
        theirs.get(META_SUBMISSION) != SUBMITTED
    ):
        raise InputError(f"job {plan.job_id} has ended before all its tasks were in")
    return job


def _deleted(plan: JobPlan) -> InputError:
    return InputError(
        f"job {plan.job_id} was deleted since it was submitted, as `clean` does, and to make it "
        "once more would run all its tasks again. If you want that, submit it anew: "
        f"python -m jobs.run {shlex.quote(str(plan.checked.workload.path))}"
    )


def _close(plan: JobPlan, service: BatchService, path: str) -> None:
    """Lets the job end with its last task; it may do so before the answer comes."""
    doing = f"closing job {plan.job_id}"
    try:
        service.call("PATCH", path, doing, body=plan.complete_body)
    except ServiceError as error:
        if (
            not error.unclear
            or metadata_of(service.get(path, doing)).get(META_SUBMISSION) != SUBMITTED
        ):
            raise


def _is_whole(service: BatchService, path: str, job_id: str) -> bool:
    """Whether a job has all its tasks, whoever has sent them."""
    job = service.get(path, f"reading job {job_id}")
    return metadata_of(job).get(META_SUBMISSION) == SUBMITTED


def metadata_of(job: Mapping[str, Any]) -> dict[str, str]:
    """A job's metadata by name."""
    return {item["name"]: item["value"] for item in job.get("metadata", ())}


def _present(service: BatchService, plan: JobPlan, path: str) -> dict[int, str]:
    """Tasks that are in, by position: of each its id or display name, whichever has the hash."""
    fields = "id,displayName" if plan.checked.stage_counts else "id"
    listed = service.pages(
        f"{path}/tasks", f"listing tasks of {plan.job_id}", **{"$select": fields}
    )
    return {position(task["id"]): task.get("displayName") or task["id"] for task in listed}


def _missing(tasks: Iterable[PlannedTask], present: Mapping[int, str]) -> Iterator[PlannedTask]:
    """Tasks that are not in.

    A task is what it is by its position: where one is that does something else, what the plan
    is made from has changed since, and to add this one would run that position twice.

    Raises:
        ServiceError: One of the same position is, and does something else.
    """
    for task in tasks:
        there = present.get(position(task.id))
        if there is None:
            yield task
        elif there != (task.name or task.id):
            raise another_task(task.id, f"what it does: it is {there} there")


def _stopped_by_a_task(
    error: ServiceError | InputError, plan: JobPlan, service: BatchService, path: str
) -> bool:
    """Whether the job takes no more because a task failed and `on_failure` says `stop`."""
    rules = (stage.view.spec.on_failure for stage in plan.checked.stages)
    if not isinstance(error, ServiceError) or not acts_on_job(rules):
        return False
    try:
        job = service.get(path, f"reading job {plan.job_id}")
    except ServiceError:
        return False
    reason = str(job.get("executionInfo", {}).get("terminateReason", ""))
    return job.get("state") in {"terminating", "completed"} and reason.lower() == "taskfailed"


def _withdraw(service: BatchService, path: str, job_id: str) -> None:
    """Deletes a job that could not be submitted whole; best effort, the cause is told."""
    try:
        service.call("DELETE", path, f"deleting job {job_id}")
    except NotFoundError:
        return
    except ServiceError as error:
        _LOG.warning("job %s is left unfinished: %s", job_id, error)
