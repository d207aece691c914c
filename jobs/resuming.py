"""What `resume` finds: tasks that are missing, a job that is disabled, or one that was ended.

Batch disables a job whose task failed with `on_failure: pause`, and starts none of its tasks until
somebody enables it. What is missing is sent by `jobs.submission`. A job that was ended takes no
more: what is left of it is `rerun`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.errors import InputError, NotFoundError, ServiceError
from jobs.following import go_on
from jobs.looks import JOB_OVER, JOB_PAUSED
from jobs.managed import has_manager
from jobs.outcomes import CANCELED
from jobs.plan import META_SUBMISSION, SUBMITTED
from jobs.results import ResultTree
from jobs.service import BatchService, segment
from jobs.standing import ended_text
from jobs.submit import metadata_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumable:
    """A job that can be gone on with.

    Attributes:
        job_id: Which; the last attempt's.
        paused: Whether it is disabled.
        whole: Whether no task is missing that would have to be sent from here.
    """

    job_id: str
    paused: bool
    whole: bool

    @property
    def only_paused(self) -> bool:
        """Whether it goes on, and is whole, once it is enabled."""
        return self.paused and self.whole

    def enable(self, service: BatchService) -> None:
        """Lets its tasks start again.

        Raises:
            ServiceError: The job is gone or over, or the service refuses.
        """
        path = f"/jobs/{segment(self.job_id)}/enable"
        try:
            service.call("POST", path, f"enabling job {self.job_id}")
        except ServiceError as error:
            if error.code != "JobNotDisabled":  # somebody else has enabled it
                raise


def resumable(tree: ResultTree, service: BatchService) -> Resumable:
    """What there is to go on with; of a job that Batch does not have, all of it.

    Raises:
        InputError: It was ended before its tasks were done.
        ServiceError: The service refuses.
    """
    job_id = tree.read_manifest().current
    try:
        job = service.get(f"/jobs/{segment(job_id)}", f"reading job {job_id}")
    except NotFoundError:
        return Resumable(job_id=job_id, paused=False, whole=False)
    reason = str((job.get("executionInfo") or {}).get("terminateReason", ""))
    if job["state"] in JOB_OVER and (ended := ended_text(reason)):
        rest = " --canceled" if reason in CANCELED else ""
        raise InputError(
            f"job {job_id} is over, {ended}; nothing more can be submitted to it. What is left "
            f"runs again with {go_on('rerun', tree)}{rest}; what it left so far: "
            f"{go_on('collect', tree)}"
        )
    return Resumable(
        job_id=job_id,
        paused=job["state"] in JOB_PAUSED,
        whole=metadata_of(job).get(META_SUBMISSION) == SUBMITTED or has_manager(job),
    )
