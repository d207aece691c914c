"""Which jobs of a pool still have unfinished tasks, asked of the Batch service.

Resource Manager knows pools and the Batch service alone knows what runs on them, so this
is the one place where `infra` talks to the data plane. It reads, and changes nothing:
*Azure Batch Account Reader* is enough. Two readers: the hook that keeps a pool from being
deleted under its tasks, and `python -m infra changes`.

One request lists the jobs that are not completed, an account has some hundreds at most,
and one a job counts its tasks: task lists, which may be long, are never read.
https://learn.microsoft.com/rest/api/batchservice/jobs/get-job-task-counts
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.asking import (
    CONNECT_TIMEOUT_S,
    READ_TIMEOUT_S,
    RETRIES,
    asked,
    is_on_this_machine,
    key_credential,
    token_credential,
)
from infra.config import Authentication

if TYPE_CHECKING:
    from azure.batch import BatchClient

READER_ROLE = "Azure Batch Account Reader"
_SELECTED = ["id", "poolInfo", "executionInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchService:
    """A Batch account's data plane.

    Attributes:
        account: Name of the account.
        endpoint: URL, without a trailing slash.
        authentication: How to sign in; keys are for the emulator.
    """

    account: str
    endpoint: str
    authentication: Authentication


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedJob:
    """A job with tasks that are not completed; counts as the service tells them."""

    job_id: str
    waiting_tasks: int
    running_tasks: int

    @property
    def tasks(self) -> int:
        """All its unfinished tasks."""
        return self.waiting_tasks + self.running_tasks


def unfinished_jobs(
    service: BatchService, pool_ids: Collection[str]
) -> dict[str, tuple[UnfinishedJob, ...]]:
    """The jobs with unfinished tasks that are bound to pools, by pool id, in order of id.

    A pool that does not exist, or is being deleted already, has none: nothing runs there.

    Raises:
        AskError: The service cannot be asked, or does not answer.
    """
    with (
        asked(f"Batch account {service.account}", role=READER_ROLE),
        batch_client(service) as client,
    ):
        existing = {pool.id for pool in client.list_pools(select=["id"])} & set(pool_ids)
        found: dict[str, list[UnfinishedJob]] = {pool_id: [] for pool_id in pool_ids}
        if not existing:
            return dict.fromkeys(pool_ids, ())
        for job in client.list_jobs(filter="state ne 'completed'", select=_SELECTED):
            # A job that was moved, or that a schedule made, says where it runs.
            pool_id = job.pool_info.pool_id
            if job.execution_info is not None and job.execution_info.pool_id:
                pool_id = job.execution_info.pool_id
            if pool_id is None or pool_id not in existing:
                continue
            counts = client.get_job_task_counts(job.id).task_counts
            if counts.active + counts.running:
                found[pool_id].append(
                    UnfinishedJob(
                        job_id=job.id, waiting_tasks=counts.active, running_tasks=counts.running
                    )
                )
    return {
        pool_id: tuple(sorted(jobs, key=lambda job: job.job_id)) for pool_id, jobs in found.items()
    }


def batch_client(service: BatchService) -> BatchClient:
    """The SDK's client of a Batch account.

    Raises:
        AskError: There is no credential for it.
    """
    # It takes most of a second to import, and most commands never ask.
    from azure.batch import BatchClient  # noqa: PLC0415

    credential = (
        key_credential(service.endpoint, service.account)
        if service.authentication == "shared-key"
        else token_credential(service.endpoint)
    )
    # A proxy of the environment leads away from this machine; with it goes the variable
    # that names the certificates to trust, so it is read here.
    local = is_on_this_machine(service.endpoint)
    trust = os.environ.get("REQUESTS_CA_BUNDLE") if local else None
    return BatchClient(
        endpoint=service.endpoint,
        credential=credential,
        connection_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        connection_verify=trust or True,
        use_env_settings=not local,
        retry_total=RETRIES,
    )
