"""What became of the jobs of a list: how many tasks succeeded and failed, and what it cost.

The service's list of jobs tells that a job is over, and never how its tasks fared, so that a
failed job reads there as if all were well. Where the last report of a job is of its end and
lies in its result tree, that says it, and the cost, too; `jobs.task_totals` knows of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.costs import kept_report
from jobs.errors import InputError, NotFoundError
from jobs.job_ids import schedule_of
from jobs.listing import LATE, JobRow, jobs_of, matching
from jobs.plan import SUBMITTING
from jobs.results import Manifest, tree_of
from jobs.session import Session, Target
from jobs.stale import stale_of
from jobs.standstill import is_arriving
from jobs.task_totals import totals_of
from jobs.threads import in_threads

CANCELED = frozenset({"CanceledByUser", "UserTerminate"})
"""Reasons with which a person ends a job: this program's, and the service's own."""
UNFINISHED = "unfinished"
"""The outcome of a job whose submission was cut short, until somebody resumes it."""
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

    def rows(
        self, filters: Sequence[str] = (), since: str | None = None, *, outcomes: bool = True
    ) -> list[JobRow]:
        """The jobs that match, the oldest first, with what became of them.

        Args:
            filters: As `jobs.listing.matching`.
            since: As there.
            outcomes: Whether the fields in `LATE` are needed; they are where a filter has one.

        Raises:
            InputError: As `jobs.listing.matching`; before anything is asked.
            ServiceError: The service refuses.
        """
        matching((), filters, since)
        late = [text for text in filters if text.partition("=")[0] in LATE]
        early = [text for text in filters if text not in late]
        found = matching(jobs_of(self.session.service, pools=self.pools), early, since)
        if not outcomes and not late:
            return found
        return matching(self.told(found), late, None)

    def told(self, rows: Iterable[JobRow], path: str = "/jobs") -> list[JobRow]:
        """Rows with what became of them; `path` lists them."""
        read = in_threads(self._reported, rows, at_once=_AT_ONCE, name="list")
        found = {row.job_id: row for row in sorted(read, key=lambda row: row.created)}
        open_ = [row for row in found.values() if row.succeeded is None and row.state == _OVER]
        for job_id, totals in totals_of(open_, self.session, path).items():
            row = found[job_id]
            found[job_id] = replace(row, succeeded=totals.succeeded, failed=totals.failed)
        return [replace(row, outcome=self._outcome_of(row)) for row in found.values()]

    def _outcome_of(self, row: JobRow) -> str:
        """The same as `outcome_of`, but for one that is being submitted."""
        outcome = outcome_of(row)
        service = self.session.service
        try:
            if outcome == UNFINISHED and is_arriving(service, row.job_id, row.created):
                return "submitting"
        except NotFoundError:
            pass  # it was deleted since the list was made
        return outcome

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
        # a schedule's job gets its tasks from its own job manager task
        unsent = row.submission == SUBMITTING and schedule_of(row.job_id) is None
        return UNFINISHED if unsent else "running"
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
