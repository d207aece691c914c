"""What became of the tasks of jobs that are over: asked for once, remembered, never guessed."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import ServiceError
from jobs.listing import JobRow, jobs_of
from jobs.managed import MANAGER_ID
from jobs.outcomes import JobList
from jobs.session import Session
from jobs.task_totals import FEW, Totals, TotalsMemory, totals_of

COUNT = 6
ENDED = "2020-11-21T10:00:09.1234567Z"


def job(job_id: str, *, created: str = "2020-11-21T10:00:00Z") -> dict[str, Any]:
    metadata = {"jobs.workload": "mc", "jobs.tasks": "3", "jobs.submission": "complete"}
    return {
        "id": job_id, "state": "completed", "creationTime": created,
        "metadata": [{"name": name, "value": value} for name, value in metadata.items()],
        "poolInfo": {"poolId": "pool-cpu"},
        "executionInfo": {"startTime": created, "endTime": ENDED,
                          "terminateReason": "AllTasksCompleted"},
    }  # fmt: skip


def stats(succeeded: int, failed: int, *, updated: str = "2020-11-21T11:00:00Z") -> dict[str, Any]:
    return {
        "lastUpdateTime": updated,
        "numSucceededTasks": str(succeeded),
        "numFailedTasks": str(failed),
    }


def add(batch: Any, job_id: str, *exit_codes: int, **members: Any) -> None:
    """A job that is over, whose three tasks ended so."""
    batch.jobs[job_id] = job(job_id) | members
    manager = [(MANAGER_ID, 0)] if ":" in job_id else []
    ends = [*manager, *((str(n), code) for n, code in enumerate(exit_codes))]
    batch.tasks[job_id] = {name: {"id": name, "state": "active"} for name, _ in ends}
    for name, code in ends:
        batch.complete(job_id, name, exit_code=code)


@pytest.fixture
def many(batch: Any) -> Any:
    """An account with more jobs than are asked for one by one."""
    for number in range(COUNT):
        add(batch, f"mc-{number}", 0, 0, number % 2)
    assert COUNT > FEW
    return batch


def asked(batch: Any) -> list[str]:
    found = [line.partition("?")[0] for line in batch.requests]
    batch.requests.clear()
    return found


def expected() -> dict[str, Totals]:
    return {f"mc-{n}": Totals(3 - n % 2, n % 2) for n in range(COUNT)}


def test_what_statistics_have_whole_is_one_request(many: Any, session: Session) -> None:
    for number in range(COUNT):
        many.jobs[f"mc-{number}"]["stats"] = stats(3 - number % 2, number % 2)
    rows = jobs_of(session.service)
    asked(many)
    assert totals_of(rows, session) == expected()
    (line,) = many.requests
    assert line.startswith("GET /jobs?")
    for part in ("expand=stats", "completed", "2020-11-21T10:00:00Z"):
        assert part in line


@pytest.mark.parametrize(
    "unsound",
    [
        None,
        {},
        stats(2, 0),
        stats(3, 1),
        stats(3, 0, updated="2020-11-21T10:00:08Z"),
        {**stats(3, 0), "numFailedTasks": None},
    ],
)
def test_statistics_that_do_not_have_every_task_are_not_believed(
    many: Any, session: Session, unsound: Any
) -> None:
    for number in range(COUNT):
        many.jobs[f"mc-{number}"]["stats"] = stats(3 - number % 2, number % 2)
    many.jobs["mc-1"]["stats"] = unsound
    rows = jobs_of(session.service)
    asked(many)
    assert totals_of(rows, session) == expected()
    assert asked(many) == ["GET /jobs", "GET /jobs/mc-1/taskcounts"]


def test_what_is_settled_is_asked_for_once(many: Any, session: Session) -> None:
    rows = jobs_of(session.service)
    assert totals_of(rows, session) == expected()
    asked(many)
    assert totals_of(rows, session) == expected()
    assert asked(many) == []


def test_what_ended_just_now_is_asked_for_again(many: Any, session: Session) -> None:
    rows = [replace(row, duration_s=1e12) for row in jobs_of(session.service)[:2]]
    totals_of(rows, session)
    totals_of([replace(row, duration_s=None) for row in rows], session)
    asked(many)
    totals_of(rows, session)
    assert len(asked(many)) == 2


def test_another_job_of_the_same_id_and_account_is_another(many: Any, session: Session) -> None:
    rows = jobs_of(session.service)
    totals_of(rows, session)
    add(many, "mc-0", 1, 1, 1, creationTime="2020-11-21T10:00:00.1Z")
    elsewhere = Session(stack=session.stack.model_copy(update={"batch_account_id": "/other"}))
    asked(many)
    again = jobs_of(session.service)
    assert totals_of(again, session)["mc-0"] == Totals(0, 3)
    assert asked(many) == ["GET /jobs", "GET /jobs/mc-0/taskcounts"]
    totals_of(rows[:1], replace(elsewhere, _service=session.service))
    assert asked(many) == ["GET /jobs/mc-0/taskcounts"]


def test_a_service_without_statistics_has_counts(many: Any, session: Session, fault: Any) -> None:
    rows = jobs_of(session.service)
    many.fault = lambda _method, path, _number: (
        fault(status=400, code="InvalidQueryParameterValue") if path == "/jobs" else None
    )
    assert totals_of(rows, session) == expected()


def test_a_service_that_refuses_is_not_taken_for_one_without(
    many: Any, session: Session, fault: Any
) -> None:
    rows = jobs_of(session.service)
    many.fault = lambda *_: fault(status=403, code="PermissionDenied")
    with pytest.raises(ServiceError):
        totals_of(rows, session)


def test_a_job_that_is_gone_by_now_is_left_out(many: Any, session: Session) -> None:
    rows = jobs_of(session.service)
    del many.jobs["mc-3"]
    assert set(totals_of(rows, session)) == set(expected()) - {"mc-3"}


def test_the_manager_of_a_scheduled_job_is_looked_at_where_it_matters(
    batch: Any, session: Session
) -> None:
    add(batch, "nightly:job-1", 0, 0, 0)
    add(batch, "nightly:job-2", 0, 0, 1)
    rows = jobs_of(session.service)
    asked(batch)
    found = totals_of(rows, session)
    assert found == {"nightly:job-1": Totals(3, 0), "nightly:job-2": Totals(2, 1)}
    looks = [line for line in asked(batch) if line.endswith(f"/tasks/{MANAGER_ID}")]
    assert looks == [f"GET /jobs/nightly%3Ajob-2/tasks/{MANAGER_ID}"]


def test_the_manager_is_none_of_the_tasks_in_statistics(batch: Any, session: Session) -> None:
    for number in range(COUNT):
        add(batch, f"nightly:job-{number + 1}", 0, 0, 0, stats=stats(4, 0))
    batch.jobs["nightly:job-1"]["stats"] = stats(3, 0)
    rows = jobs_of(session.service)
    asked(batch)
    assert set(totals_of(rows, session).values()) == {Totals(3, 0)}
    assert asked(batch) == ["GET /jobs", "GET /jobs/nightly%3Ajob-1/taskcounts"]


def test_nothing_is_asked_of_no_jobs_nor_where_nobody_wants_to_know(
    many: Any, session: Session, tmp_path: Path
) -> None:
    assert totals_of([], session) == {}
    rows = JobList(session=session, target=None, out=tmp_path).rows(outcomes=False)
    assert [row.succeeded for row in rows] == [None] * COUNT
    assert asked(many) == ["GET /jobs"]
    found = JobList(session=session, target=None, out=tmp_path)
    late = found.rows(["outcome=1 failed"], outcomes=False)
    assert [row.job_id for row in late] == ["mc-1", "mc-3", "mc-5"]


def test_a_memory_that_is_damaged_or_cannot_be_is_done_without(
    many: Any, session: Session, local_state: Path
) -> None:
    place = local_state / "jobs" / "totals.sqlite"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"no database at all" * 99)
    rows = jobs_of(session.service)
    assert totals_of(rows, session) == expected()
    place.unlink()
    place.mkdir()
    assert totals_of(rows, session) == expected()
    place.rmdir()
    with sqlite3.connect(place) as database:
        database.execute("CREATE TABLE totals (other TEXT)")
    database.close()
    assert totals_of(rows, session) == expected()
    assert many.jobs


def test_what_has_been_longest_in_it_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.task_totals._MOST", 2)
    rows = [
        JobRow(job_id=f"j{n}", workload="w", state="completed", tasks=1, submission="", ended="",
               created="2020-11-21T10:00:00Z")
        for n in range(3)
    ]  # fmt: skip
    with TotalsMemory(tmp_path / "x.sqlite", "/A") as memory:
        memory.keep((row, Totals(1, 0)) for row in rows)
    with TotalsMemory(tmp_path / "x.sqlite", "/a") as memory:
        assert set(memory.known(rows)) == {"j1", "j2"}
