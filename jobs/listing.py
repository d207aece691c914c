"""The jobs of a stack, as Batch lists them: those that were submitted from workload files.

What became of their tasks is not in that list: `jobs.outcomes` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from jobs.durations import parse_duration
from jobs.errors import InputError
from jobs.looks import moment_of
from jobs.plan import META_SUBMISSION, META_TASKS, META_WORKLOAD, tags_of
from jobs.service import BatchService
from jobs.submit import metadata_of

_FILTER = "write it as FIELD=TEXT, such as state=active or workload=mc"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job in a list.

    Attributes:
        job_id: The job.
        workload: Name in its workload file.
        state: As the service calls it.
        tasks: How many it has, or will have.
        submission: `complete`, or `unfinished`: resume it.
        ended: Why it ended, as the service calls it; empty while it has not.
        created: When, UTC, ISO 8601.
        tags: Those of its workload file.
        pool: Its pool, by the stack's name for it, else by its id.
        succeeded: Tasks that ended well; None where that is not known.
        failed: Tasks that did not; None where that is not known.
        duration_s: From its start to its end; None while it has none.
        cost: In `currency`, by its last report, with all later attempts; None where there is
            none of its end here.
        currency: Such as `USD`; empty where the cost is not known.
        outcome: In a word or two, what became of it: `succeeded`, `2 failed`, `3 never ran`,
            `1 stale`, `canceled`, `running`, `submitting` (its tasks still come), `unfinished`
            (its submission is, and nobody goes on with it), else the state
            that it is in; `unknown` where the service does not tell.
        stale: Tasks of its result tree whose answer is of outputs that a later attempt replaced.
    """

    job_id: str
    workload: str
    state: str
    tasks: int
    submission: str
    ended: str
    created: str
    tags: Mapping[str, str] = field(default_factory=dict)
    pool: str = ""
    succeeded: int | None = None
    failed: int | None = None
    duration_s: float | None = None
    cost: float | None = None
    currency: str = ""
    outcome: str = "unknown"
    stale: int = 0

    def text(self, name: str) -> str:
        """A field as text; `tag.NAME` is one tag, empty where there is none."""
        if name.startswith(TAG):
            return self.tags.get(name.removeprefix(TAG), "")
        value = getattr(self, name)
        if isinstance(value, Mapping):
            return " ".join(f"{tag}={text}" for tag, text in value.items())
        return "" if value is None else str(value)


TAG = "tag."
"""Before the name of a tag that is a field."""
FIELDS = tuple(item.name for item in fields(JobRow))
_KNOWN = f"{', '.join(FIELDS)} and {TAG}NAME"
SHOWN = ("job_id", "outcome", "tasks", "duration_s", "cost", "created")
LATE = frozenset({"succeeded", "failed", "cost", "currency", "outcome", "stale"})
"""Fields that take more than the list of jobs to fill in."""
_SELECTED = "id,state,creationTime,metadata,executionInfo,poolInfo"


def jobs_of(
    service: BatchService, path: str = "/jobs", pools: Mapping[str, str] | None = None
) -> list[JobRow]:
    """All jobs, the oldest first; what became of their tasks is left open.

    Args:
        service: Where.
        path: Of all jobs, or of those of a schedule.
        pools: Names of pools by their ids.

    Raises:
        ServiceError: The service refuses.
    """
    listed = service.pages(path, "listing jobs", **{"$select": _SELECTED})
    rows = [
        JobRow(
            job_id=item["id"],
            workload=metadata[META_WORKLOAD],
            state=item["state"],
            tasks=int(metadata.get(META_TASKS, 0)),
            submission=metadata.get(META_SUBMISSION, ""),
            ended=(item.get("executionInfo") or {}).get("terminateReason", ""),
            created=item["creationTime"],
            tags=tags_of(metadata),
            pool=_pool(item, pools or {}),
            duration_s=_duration(item.get("executionInfo") or {}),
        )
        for item in listed
        if META_WORKLOAD in (metadata := metadata_of(item))
    ]
    return sorted(rows, key=lambda row: row.created)


def _pool(job: Mapping[str, Any], pools: Mapping[str, str]) -> str:
    """A job's pool; of one with a pool of its own, that one once there is one."""
    wanted = (job.get("poolInfo") or {}).get("poolId")
    found = str(wanted or (job.get("executionInfo") or {}).get("poolId") or "")
    return pools.get(found, found)


def _duration(info: Mapping[str, Any]) -> float | None:
    if not info.get("startTime") or not info.get("endTime"):
        return None
    return max(0.0, (moment_of(info["endTime"]) - moment_of(info["startTime"])).total_seconds())


def _is_field(name: str) -> bool:
    return name in FIELDS or (name.startswith(TAG) and name != TAG)


def parse_fields(text: str | None) -> tuple[str, ...]:
    """The fields of `--fields`, separated by commas.

    Raises:
        InputError: There is no such field.
    """
    if text is None:
        return SHOWN
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if not _is_field(name):
            raise InputError(f"--fields: there is no field {name!r}, there are {_KNOWN}")
    return names


def matching(
    rows: Iterable[JobRow], filters: Sequence[str], since: str | None, now: datetime | None = None
) -> list[JobRow]:
    """The jobs of which each filtered field contains the text, and that are not too old.

    Args:
        rows: Jobs.
        filters: `FIELD=TEXT`; all must hold.
        since: A date (`2026-11-20`), a moment, or how long ago (`2d`).
        now: The time; tests put their own here.

    Raises:
        InputError: A filter or `since` cannot be read.
    """
    conditions: list[tuple[str, str]] = []
    for text in filters:
        name, equals, wanted = text.partition("=")
        if not equals or not _is_field(name):
            raise InputError(f"--filter {text!r}: {_FILTER}; fields are {_KNOWN}")
        conditions.append((name, wanted.lower()))
    earliest = None if since is None else parse_since(since, now or datetime.now(UTC))
    return [
        row
        for row in rows
        if (earliest is None or moment_of(row.created) >= earliest)
        and all(wanted in row.text(name).lower() for name, wanted in conditions)
    ]


def parse_since(text: str, now: datetime) -> datetime:
    """The moment that `--since` means: a length of time ago, a date or a moment, UTC.

    Raises:
        InputError: It is none of these.
    """
    try:
        return now - parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"--since {text!r}: write how long ago (2h, 3d), or a date like 2026-11-20"
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
