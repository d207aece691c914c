from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from jobs.errors import InputError
from jobs.listing import JobRow, matching, parse_fields

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def row(
    job_id: str, created: str, state: str = "active", tags: Mapping[str, str] | None = None
) -> JobRow:
    return JobRow(
        job_id=job_id, workload="mc", state=state, tasks=3, submission="complete", ended="",
        created=created, tags=tags or {},
    )  # fmt: skip


ROWS = [
    row("a", "2026-11-18T00:00:00Z", "completed"),
    row("b", "2026-11-20T13:00:00.1234567Z"),
    row("c", "2026-11-21T11:59:00Z", tags={"project": "Fraud", "team": "risk"}),
]


@pytest.mark.parametrize(
    ("filters", "since", "ids"),
    [
        ((), None, "abc"),
        (("state=ACTIVE",), None, "bc"),
        (("state=active", "job_id=c"), None, "c"),
        (("ended=x",), None, ""),
        (("tag.project=fraud",), None, "c"),
        (("tag.project=risk",), None, ""),
        (("tags=team=risk",), None, "c"),
        ((), "2m", "c"),
        ((), "1d", "bc"),
        ((), "2026-11-20", "bc"),
        ((), "2026-11-21T12:58:00+01:00", "c"),
    ],
)
def test_jobs_are_chosen_by_fields_and_by_age(
    filters: tuple[str, ...], since: str | None, ids: str
) -> None:
    assert "".join(item.job_id for item in matching(ROWS, filters, since, NOW)) == ids


@pytest.mark.parametrize(
    ("filters", "since"),
    [(("x=1",), None), (("tag.=1",), None), (("state",), None), ((), "soon"), ((), "")],
)
def test_what_is_no_filter_or_time_is_refused(filters: tuple[str, ...], since: str | None) -> None:
    with pytest.raises(InputError, match=r"--(filter|since)"):
        matching(ROWS, filters, since, NOW)


def test_fields_are_those_that_there_are() -> None:
    assert parse_fields("tasks, job_id,tag.project") == ("tasks", "job_id", "tag.project")
    with pytest.raises(InputError, match="there is no field 'x', there are job_id, "):
        parse_fields("job_id,x")


def test_fields_are_texts() -> None:
    found = [ROWS[2].text(name) for name in ("tasks", "tags", "tag.team", "tag.other")]
    assert found == ["3", "project=Fraud team=risk", "risk", ""]
