"""What became of the jobs of a list: how many tasks succeeded and failed, and what it cost.

The service's list of jobs tells that a job is over, and never how its tasks fared, so that a
failed job reads there as if all were well. That takes a request a job, made for those that are
over alone, several at once; none for a job whose last report is of its end and lies in its
result tree, which has the cost, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.costs import kept_report
from jobs.errors import InputError, NotFoundError
from jobs.job_ids import schedule_of
from jobs.listing import LATE, JobRow, jobs_of, matching
from jobs.managed import look_at_manager, without_manager
from jobs.results import Manifest, tree_of
from jobs.service import BatchService, segment
from jobs.session import Session, Target
from jobs.stale import stale_of
from jobs.threads import in_threads

CANCELED = frozenset({"CanceledByUser", "UserTerminate"})
"""Reasons with which a person ends a job: this program's, and the service's own."""
_AT_ONCE = 16
_OVER = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobList:
    """The jobs of a stack.

    Attributes:
        session: The stack's services.
        target: The stack, as it was named; None: no result tree is looked into.
        out: Where result trees are.
    """

    session: Session
    target: Target | None
    out: Path

    @property
    def pools(self) -> dict[str, str]:
        """The stack's names of pools, by their ids."""
        return {pool.id: name for name, pool in self.session.stack.pools.items()}

    def rows(self, filters: Sequence[str] = (), since: str | None = None) -> list[JobRow]:
        """The jobs that match, the oldest first, with what became of them.

        Raises:
            InputError: As `jobs.listing.matching`; before anything is asked.
            ServiceError: The service refuses.
        """
        matching((), filters, since)
        late = [text for text in filters if text.partition("=")[0] in LATE]
        early = [text for text in filters if text not in late]
        found = matching(jobs_of(self.session.service, pools=self.pools), early, since)
        return matching(self.told(found), late, None)

    def told(self, rows: Iterable[JobRow]) -> list[JobRow]:
        """Rows with what became of them."""
        done = in_threads(self._told, rows, at_once=_AT_ONCE, name="list")
        return sorted(done, key=lambda row: row.created)

    def _told(self, row: JobRow) -> JobRow:
        reported = self._reported(row)
        if reported.succeeded is None and reported.state == _OVER:
            reported = _counted(reported, self.session.service)
        return replace(reported, outcome=outcome_of(reported))

    def _reported(self, row: JobRow) -> JobRow:
        """A row with what the report of its end says, where that lies in its result tree."""
        try:
            tree = tree_of(row.job_id, self.out)
            manifest = tree.read_manifest()
        except InputError:
            return row
        if manifest.job_id != row.job_id or not self._same_stack(manifest):
            return row
        row = replace(row, stale=len(stale_of(manifest)))
        report = kept_report(tree)
        if report is None or row.state != _OVER:
            return row
        cost = report["cost"]
        row = replace(row, cost=cost, currency="" if cost is None else report["currency"])
        if manifest.attempts:
            return row  # the figures are of all of them together
        return replace(row, succeeded=report["succeeded"], failed=report["failed"])

    def _same_stack(self, manifest: Manifest) -> bool:
        """Whether the tree is of this stack: another one may have a job of the same id."""
        own = self.target
        noted = (manifest.stack, manifest.outputs)
        return own is not None and (own.stack, own.outputs_noted) == noted


def outcome_of(row: JobRow) -> str:
    """What became of a job, in a word or two (`JobRow.outcome`)."""
    if row.state == "active":
        return "unfinished" if row.submission == "unfinished" else "running"
    if row.state != _OVER:
        return row.state
    if row.ended in CANCELED:
        return "canceled"
    if row.succeeded is None or row.failed is None:
        return "unknown"
    told = (
        (row.failed, "failed"),
        (row.tasks - row.succeeded - row.failed, "never ran"),
        (row.stale, "stale"),
    )
    return next((f"{number:,} {what}" for number, what in told if number > 0), "succeeded")


def _counted(row: JobRow, service: BatchService) -> JobRow:
    """A row with the service's counts of its tasks; as it is where the job is gone by now."""
    try:
        path = f"/jobs/{segment(row.job_id)}/taskcounts"
        counts = service.get(path, f"counting tasks of {row.job_id}")["taskCounts"]
        if schedule_of(row.job_id) is not None:
            counts = without_manager(counts, look_at_manager(service, row.job_id))
    except NotFoundError:
        return row
    return replace(row, succeeded=counts["succeeded"], failed=counts["failed"])
