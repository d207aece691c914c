"""Finds out that nothing of a job will move any more although it has not ended, and why.

The one place for that, whatever the cause (`jobs.looks.Cause`): who waits would wait for ever.
It is no place for what merely takes long: quota, a region without machines and a formula that
waits for its next evaluation may pass, and are reasons of the pool (`jobs.looks.pool_view`).
What to do about it is not decided here: a job that is blocked or unprepared is ended by who
runs it, one whose submission was not finished or that is disabled is left for `resume`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobs.blocked import blocked_tasks
from jobs.looks import JOB_OVER, JOB_PAUSED, Cause, PoolView, Standstill, moment_of
from jobs.managed import has_manager
from jobs.plan import META_SUBMISSION, SUBMITTED, SUBMITTING
from jobs.preparation import Preparations, holds_tasks_back
from jobs.service import BatchService, segment
from jobs.submit import metadata_of

UNSENT_AFTER_S = 10.0
"""How long nothing must happen until nobody is taken to be submitting, or to enable it."""
PREPARATIONS_EVERY_S = 5.0


def is_unsent(job: Mapping[str, Any]) -> bool:
    """Whether a job's tasks are not all in; a scheduled job gets them from its own manager."""
    return metadata_of(job).get(META_SUBMISSION) == SUBMITTING and not has_manager(job)


def is_arriving(service: BatchService, job_id: str, created: str) -> bool:
    """Whether somebody seems to be submitting a job: it or a task of it is a few seconds old.

    Args:
        service: Where it is.
        job_id: A job that has not ended, and whose tasks are not all in.
        created: Its `creationTime`.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    since = (service.date or time.time()) - UNSENT_AFTER_S
    if moment_of(created).timestamp() > since:
        return True
    moment = f"DateTime'{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%S.%fZ}'"
    query = {
        # no task changed before it was made: the first condition finds few to hold to the second
        "$filter": f"stateTransitionTime ge {moment} and creationTime ge {moment}",
        "$select": "id",
        "maxresults": "1",
    }
    doing = f"looking for new tasks of job {job_id}"
    return bool(service.get(f"/jobs/{segment(job_id)}/tasks", doing, **query).get("value"))


def unsent_text(job_id: str, known: int, total: int, *, arriving: bool = False) -> str:
    """What is to be said of a job whose tasks are not all in.

    Args:
        job_id: Empty where it cannot be resumed: the job has ended, or is not submitted from here.
        known: Tasks that are in.
        total: Tasks that are to be.
        arriving: Whether somebody is submitting it.
    """
    if arriving:
        return f"it is being submitted: {known:,} of {total:,} tasks are in"
    goes_on = f"; python -m jobs resume {job_id} goes on with it" if job_id else ""
    return f"its submission was not finished: {known:,} of {total:,} tasks are in{goes_on}"


@dataclass(slots=True, kw_only=True)
class Standstills:
    """Asks the service no more than it must: once whenever a job has come to stand still.

    Attributes:
        service: Where the job is.
        job_id: Which.
        now: Monotonic seconds.
        partial: Whether only a part of the job is waited for, so that it does not matter
            whether the rest was submitted.
    """

    service: BatchService
    job_id: str
    now: Callable[[], float]
    partial: bool = False
    _still: tuple[int, int] = (-1, -1)
    _still_at: float = 0.0
    _blocked: int | None = None
    _preparations: Preparations = field(init=False)

    def __post_init__(self) -> None:
        """Begins without having seen anything."""
        self._preparations = Preparations(service=self.service, every_s=PREPARATIONS_EVERY_S)

    def look(
        self,
        job: Mapping[str, Any],
        counts: Mapping[str, int],
        pool: PoolView | None,
        *,
        total: int,
        waits: bool,
    ) -> Standstill | None:
        """Whether nothing will move any more.

        Args:
            job: As the service gives it.
            counts: Its tasks by state, without a job manager task.
            pool: Its pool.
            total: Tasks that it has, or will have.
            waits: Whether a task of it waits and none runs.

        Raises:
            ServiceError: The job is gone, or the service refuses.
        """
        still = (counts["completed"], counts["active"])
        first = still != self._still
        if first:
            self._still, self._still_at, self._blocked = still, self.now(), None
        if job["state"] in JOB_OVER:
            return None
        if job["state"] in JOB_PAUSED:  # whatever else holds it up: somebody is to have a look
            left = total - counts["completed"]
            idle = job["state"] == "disabled" and not counts["running"] and left > 0
            held = idle and self._is_left_alone
            return Standstill(cause=Cause.DISABLED, number=left) if held else None
        blocked = 0 if first else self._find_blocked(job, counts)
        whole = self.partial or metadata_of(job).get(META_SUBMISSION) == SUBMITTED
        if blocked and whole:
            return Standstill(cause=Cause.BLOCKED, number=blocked)
        if is_unsent(job) and not whole:
            left = total - sum(counts[state] for state in ("active", "running", "completed"))
            idle = not counts["running"] and counts["active"] <= blocked
            if left > 0 and idle and self._is_left_alone:
                return Standstill(cause=Cause.UNSENT, number=left)
        nodes = self._find_unprepared(job, pool) if waits else 0
        return Standstill(cause=Cause.UNPREPARED, number=nodes) if nodes else None

    @property
    def _is_left_alone(self) -> bool:
        """Whether nothing has happened for so long that nobody is taken to go on with it."""
        return self.now() - self._still_at >= UNSENT_AFTER_S

    def preparation_text(self, job: Mapping[str, Any]) -> str:
        """What was found out of preparations that failed and hold tasks back; may be empty."""
        return self._preparations.told if self._is_held_back(job) else ""

    def _find_blocked(self, job: Mapping[str, Any], counts: Mapping[str, int]) -> int:
        """Tasks that can never run; asked once when a job with failures stands still."""
        if (
            self._blocked is None
            and counts["failed"]
            and counts["active"]
            and not counts["running"]
            and job.get("usesTaskDependencies")
        ):
            self._blocked = blocked_tasks(self.service, self.job_id)
        return self._blocked or 0

    def _find_unprepared(self, job: Mapping[str, Any], pool: PoolView | None) -> int:
        """Nodes on which the job's preparation failed, if none is left to run its tasks."""
        if pool is None or not self._is_held_back(job):
            return 0
        return self._preparations.look(job, pool, self.now())

    @staticmethod
    def _is_held_back(job: Mapping[str, Any]) -> bool:
        """Whether its tasks wait for its preparation."""
        return holds_tasks_back(job) and job["state"] not in JOB_OVER
