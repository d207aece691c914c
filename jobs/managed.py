"""The job manager task of a scheduled job, as others see it: it is none of the job's tasks.

It adds them (`jobs.job_manager`), and the service counts it among them. Whoever counts the
tasks of a workload leaves it out; whoever asks why nothing runs looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import NotFoundError
from jobs.looks import task_end
from jobs.service import BatchService, segment

MANAGER_ID = "manager"
"""Its id; those of other tasks begin with a digit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerLook:
    """A job manager task at a moment.

    Attributes:
        state: As the service counts tasks: `active`, `running` or `completed`.
        succeeded: Of one that is completed, whether it did its work.
        info: Its `executionInfo`.
    """

    state: str
    succeeded: bool
    info: Mapping[str, Any]

    @property
    def waits(self) -> bool:
        """Whether it has not begun, as the tasks that it is to add."""
        return self.state == "active"

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state == "completed"

    @property
    def failed(self) -> bool:
        """Whether it is over without having done its work."""
        return self.over and not self.succeeded


def has_manager(job: Mapping[str, Any]) -> bool:
    """Whether a job gets its tasks from our job manager task."""
    manager: Mapping[str, Any] = job.get("jobManagerTask") or {}
    return manager.get("id") == MANAGER_ID


def look_at_manager(service: BatchService, job_id: str) -> ManagerLook | None:
    """Asks for a job's manager task; None before it is there.

    Raises:
        ServiceError: The service refuses.
    """
    path = f"/jobs/{segment(job_id)}/tasks/{MANAGER_ID}"
    try:
        task = service.get(path, f"looking at the job manager task of {job_id}")
    except NotFoundError:
        return None
    state = task["state"].lower()
    return ManagerLook(
        state="running" if state == "preparing" else state,
        succeeded=state == "completed" and task_end(task).succeeded,
        info=task.get("executionInfo") or {},
    )


def without_manager(counts: Mapping[str, int], look: ManagerLook | None) -> dict[str, int]:
    """Task counts of a job without its manager task, which may have moved on since the look."""
    left = dict(counts)
    if look is None:
        return left
    states = ("active", "running", "completed")
    at = states.index(look.state)
    state = next((name for name in states[at:] if left.get(name)), None)
    if state is None:
        return left
    left[state] -= 1
    if state == "completed":
        result = "succeeded" if look.succeeded or not look.over else "failed"
        result = result if left.get(result) else "failed"
        left[result] = max(0, left.get(result, 0) - 1)
    return left
