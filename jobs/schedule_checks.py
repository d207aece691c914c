"""What Batch and storage are asked before a schedule is sent, so that a refusal comes early."""

from __future__ import annotations

from pathlib import Path

from jobs.errors import InputError, NotFoundError, TakenError, shown
from jobs.job_schedules import OVER, over_text
from jobs.service import BatchService, segment
from jobs.session import Session


def require_there(schedule_id: str, service: BatchService) -> None:
    """Refuses to change a schedule that is not there, or is over.

    Raises:
        InputError: It is over.
        NotFoundError: There is no such schedule.
        ServiceError: The service refuses.
    """
    path, doing = f"/jobschedules/{segment(schedule_id)}", f"looking for schedule {schedule_id}"
    try:
        there = service.get(path, doing, **{"$select": "id,state"})
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no schedule {schedule_id}: add it with python -m jobs run",
            code=error.code,
            status=error.status,
        ) from error
    if there["state"] in OVER.values():
        raise InputError(over_text(schedule_id, there["state"]))


def require_unused(schedule_id: str, session: Session, root: Path) -> None:
    """Refuses to add a schedule whose jobs would share their places with those of an earlier one.

    The service numbers the jobs of a schedule from 1, also of one that is added again, and both
    their results and what they leave in storage are under their ids.

    Args:
        schedule_id: Of one that is to be added; nothing is said of one that is there.
        session: The services of its stack.
        root: Where result trees are.

    Raises:
        TakenError: There are results of an earlier one.
        ServiceError: A service refuses.
    """
    trees = sorted(path.parent for path in root.glob(f"{schedule_id}.job-*/job.json"))
    names = (session.stack.outputs_container, session.stack.logs_container)
    blobs = {name: session.container(name).first(f"{schedule_id}.job-") for name in names}
    left = [
        *(shown(tree) for tree in trees),
        *(f"{blob.partition('/')[0]} in container {name}" for name, blob in blobs.items() if blob),
    ]
    if not left:
        return
    path = f"/jobschedules/{segment(schedule_id)}"
    try:
        session.service.get(path, f"looking for schedule {schedule_id}", **{"$select": "id"})
    except NotFoundError:
        jobs = ",".join(tree.name.replace(".", ":") for tree in trees)
        clean = f" (python -m jobs clean {jobs} --local)" if jobs else ""
        raise TakenError(
            f"an earlier schedule {schedule_id} has left results, and the jobs of this one would "
            f"have the same ids and be mixed with them: {', '.join(left)}. Take another id "
            f"(--job-id ID), or remove them{clean}"
        ) from None
