"""The jobs of a stack, as Batch lists them: those that were submitted from workload files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

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
    """

    job_id: str
    workload: str
    state: str
    tasks: int
    submission: str
    ended: str
    created: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A field as text; `tag.NAME` is one tag, empty where there is none."""
        if name.startswith(TAG):
            return self.tags.get(name.removeprefix(TAG), "")
        value = getattr(self, name)
        if isinstance(value, Mapping):
            return " ".join(f"{tag}={text}" for tag, text in value.items())
        return str(value)


TAG = "tag."
"""Before the name of a tag that is a field."""
FIELDS = tuple(item.name for item in fields(JobRow))
_KNOWN = f"{', '.join(FIELDS)} and {TAG}NAME"
SHOWN = ("job_id", "state", "tasks", "submission", "created")


def jobs_of(service: BatchService, path: str = "/jobs") -> list[JobRow]:
    """All jobs, the oldest first; of a schedule, by its path.

    Raises:
        ServiceError: The service refuses.
    """
    listed = service.pages(
        path, "listing jobs", **{"$select": "id,state,creationTime,metadata,executionInfo"}
    )
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
        )
        for item in listed
        if META_WORKLOAD in (metadata := metadata_of(item))
    ]
    return sorted(rows, key=lambda row: row.created)


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
