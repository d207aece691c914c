"""Nodes on which a job's preparation failed, and what it printed there.

The service runs no task of the job on such a node and calls the node idle and the task
active, with nothing at either of them to say why (waitForSuccess of BatchJobPreparationTask
in azure-batch): only the job's own list of preparations knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.errors import ServiceError
from jobs.service import BatchService, segment

_LOG_BYTES = 64 << 10
_LINE = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedPreparation:
    """A node that no task of the job runs on.

    Attributes:
        pool_id: Its pool.
        node_id: The node.
        info: How the preparation ended, as the service tells it.
    """

    pool_id: str
    node_id: str
    info: Mapping[str, Any]

    @property
    def cause(self) -> str:
        """Its exit code; for one that never ran, the service's words."""
        if (code := self.info.get("exitCode")) is not None:
            return f"exit code {code}"
        failure = self.info.get("failureInfo") or {}
        words = ": ".join(str(failure[key]) for key in ("code", "message") if failure.get(key))
        return words or "failed"

    def printed(self, service: BatchService) -> list[str]:
        """The lines of its stderr; none if the node is gone."""
        log = f"{self.info.get('taskRootDirectory')}/stderr.txt"
        return printed_on_node(service, self.pool_id, self.node_id, log)


def holds_tasks_back(job: Mapping[str, Any]) -> bool:
    """Whether tasks of a job wait for its preparation to succeed on their node."""
    task = job.get("jobPreparationTask")
    return task is not None and task.get("waitForSuccess", True)


def failed_preparations(service: BatchService, job: Mapping[str, Any]) -> list[FailedPreparation]:
    """The nodes on which the preparation of a job, as the service gives it, failed for good.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    if job.get("jobPreparationTask") is None:
        return []
    listed = service.pages(
        f"/jobs/{segment(job['id'])}/jobpreparationandreleasetaskstatus",
        f"reading how job {job['id']} was prepared",
        **{"$select": "poolId,nodeId,jobPreparationTaskExecutionInfo"},
    )
    return [
        FailedPreparation(pool_id=item["poolId"], node_id=item["nodeId"], info=info)
        for item in listed
        if (info := item.get("jobPreparationTaskExecutionInfo") or {}).get("state") == "completed"
        and str(info.get("result", "")).lower() == "failure"
    ]


def summary(failed: Sequence[FailedPreparation], service: BatchService) -> str:
    """In one line, on how many nodes it failed, why, what it printed last, and one of them."""
    first = failed[0]
    where = "1 node" if len(failed) == 1 else f"{len(failed)} nodes"
    said = [line.strip() for line in first.printed(service) if line.strip()]
    last = f': "{said[-1][:_LINE]}"' if said else ""
    return (
        f"the preparation failed on {where}, {first.cause}{last}: no task of the job runs there "
        f"(such as {first.node_id})"
    )


def printed_on_node(service: BatchService, pool_id: str, node_id: str, path: str) -> list[str]:
    """The lines of a file of a node; none if it or the node is gone."""
    node = f"/pools/{segment(pool_id)}/nodes/{segment(node_id)}"
    try:
        data = service.content(
            f"{node}/files/{segment(path)}", f"reading {path}", start=0, length=_LOG_BYTES
        )
    except ServiceError:
        return []
    return data.decode("utf-8", "replace").splitlines()
