"""How many tasks of jobs that are over succeeded and failed, with as few requests as can be.

The service's list of jobs does not tell. Its counts of a job's tasks are a request a job; those
of jobs that have been over for a while are remembered on this machine, because nothing changes
them any more (what runs again is a job of its own). Of many that are not, the list is asked for
once more with the service's statistics. These are added up some 45 minutes after the end, or never
(https://github.com/Azure-Samples/azure-batch-samples/issues/139), and so they count only where
they have every task of the job; the others are asked for one by one.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from jobs.errors import NotFoundError, ServiceError
from jobs.job_ids import schedule_of
from jobs.listing import JobRow
from jobs.looks import moment_of
from jobs.managed import look_at_manager, without_manager
from jobs.memory import Memory
from jobs.service import BatchService, segment
from jobs.session import Session
from jobs.stack import local_directory
from jobs.threads import in_threads

FEW = 4
"""So many jobs are asked for one by one at once."""
SETTLED_S = 600
"""After a job's end: counts are not always up to date, as the service's documentation says."""
_AT_ONCE = 16
_MOST = 100_000
_TABLE = (
    "totals (account TEXT, job TEXT, created TEXT NOT NULL, succeeded INTEGER NOT NULL, "
    "failed INTEGER NOT NULL, PRIMARY KEY (account, job))"
)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Totals:
    """Of a job that is over: tasks that ended well, and those that did not."""

    succeeded: int
    failed: int


def totals_of(rows: Sequence[JobRow], session: Session, path: str = "/jobs") -> dict[str, Totals]:
    """The totals of jobs that are over, by id; without those that are gone by now.

    Args:
        rows: The jobs, of one account.
        session: Its services; they have answered already, so that their clock is known.
        path: A list that the jobs are in.

    Raises:
        ServiceError: The service refuses.
    """
    if not rows:
        return {}
    service = session.service
    with TotalsMemory(
        local_directory() / "jobs" / "totals.sqlite", session.stack.batch_account_id
    ) as memory:
        known = memory.known(rows)
        found = dict(known)
        left = [row for row in rows if row.job_id not in found]
        if len(left) > FEW:
            found |= _summed(left, service, path)
            left = [row for row in left if row.job_id not in found]
        asked = in_threads(partial(_counted, service), left, at_once=_AT_ONCE, name="list")
        found |= {job_id: totals for job_id, totals in asked if totals is not None}
        now = time.time() if service.date is None else service.date
        new = (row for row in rows if row.job_id in found and row.job_id not in known)
        memory.keep((row, found[row.job_id]) for row in new if _is_settled(row, now))
    return found


class TotalsMemory:
    """Totals that do not change any more, of one account."""

    def __init__(self, path: Path, account: str) -> None:
        """Takes the database's file and the account's resource id."""
        self._account = account.lower()
        self._memory = Memory(path, _TABLE, "counts of tasks")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()

    def known(self, rows: Iterable[JobRow]) -> dict[str, Totals]:
        """What is remembered of jobs: of these, not of others that had their ids."""
        found = self._memory.use(
            lambda database: database.execute(
                "SELECT job, created, succeeded, failed FROM totals WHERE account = ?",
                (self._account,),
            ).fetchall()
        )
        remembered = {(job, created): Totals(*totals) for job, created, *totals in found or ()}
        return {
            row.job_id: remembered[row.job_id, row.created]
            for row in rows
            if (row.job_id, row.created) in remembered
        }

    def keep(self, found: Iterable[tuple[JobRow, Totals]]) -> None:
        """Remembers totals, in place of those that have been longest in it if there are many."""
        new = [
            (self._account, row.job_id, row.created, totals.succeeded, totals.failed)
            for row, totals in found
        ]
        if not new:
            return

        def kept(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?)", new)
            database.execute(
                "DELETE FROM totals WHERE rowid <= (SELECT MAX(rowid) FROM totals) - ?", (_MOST,)
            )

        self._memory.use(kept)


def _is_settled(row: JobRow, now: float) -> bool:
    if row.duration_s is None:
        return False
    return moment_of(row.created).timestamp() + row.duration_s + SETTLED_S < now


def _summed(rows: Sequence[JobRow], service: BatchService, path: str) -> dict[str, Totals]:
    """The totals of jobs whose statistics have all of their tasks."""
    wanted = {row.job_id: row for row in rows}
    since = min(moment_of(row.created) for row in rows)
    listed = service.pages(
        path,
        "adding up the tasks of jobs",
        **{
            "$filter": "state eq 'completed' and creationTime ge "
            f"DateTime'{since:%Y-%m-%dT%H:%M:%S}Z'",
            "$select": "id,executionInfo,stats",
            "$expand": "stats",
        },
    )
    try:
        return {
            item["id"]: totals
            for item in listed
            if item["id"] in wanted and (totals := _complete(item, wanted[item["id"]])) is not None
        }
    except ServiceError as error:
        # a service that does not answer this has counts all the same
        if error.status not in {400, 501}:
            raise
        _LOG.info("no statistics of jobs: %s", error)
        return {}


def _complete(item: Mapping[str, Any], row: JobRow) -> Totals | None:
    """A job's totals by its statistics; None where these do not have all of its tasks."""
    try:
        stats, ended = item["stats"], item["executionInfo"]["endTime"]
        if moment_of(stats["lastUpdateTime"]) < moment_of(ended):
            return None
        succeeded, failed = int(stats["numSucceededTasks"]), int(stats["numFailedTasks"])
    except (KeyError, TypeError, ValueError):
        return None
    if schedule_of(row.job_id) is not None:
        # the job manager task is counted, too; which one failed they do not tell
        return Totals(row.tasks, 0) if (succeeded, failed) == (row.tasks + 1, 0) else None
    return Totals(succeeded, failed) if succeeded + failed == row.tasks else None


def _counted(service: BatchService, row: JobRow) -> tuple[str, Totals | None]:
    """The service's counts of a job's tasks; None where the job is gone by now."""
    try:
        path = f"/jobs/{segment(row.job_id)}/taskcounts"
        counts = service.get(path, f"counting tasks of {row.job_id}")["taskCounts"]
        if schedule_of(row.job_id) is not None:
            if (counts["succeeded"], counts["failed"]) == (row.tasks + 1, 0):
                return row.job_id, Totals(row.tasks, 0)
            counts = without_manager(counts, look_at_manager(service, row.job_id))
    except NotFoundError:
        return row.job_id, None
    return row.job_id, Totals(counts["succeeded"], counts["failed"])
