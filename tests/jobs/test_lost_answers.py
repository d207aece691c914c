"""What ended or removed something, and whose answer was lost, is told as what it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import ServiceError
from jobs.finishing import end_job
from jobs.job_schedules import JobSchedule
from jobs.results import Manifest
from jobs.schedule_notes import known_schedules, name_last, note_of
from jobs.service import BatchService
from jobs.session import Session
from jobs.stack import parse_stack

Lose = Callable[..., None]
PLAN = "d1" * 32


@pytest.fixture
def lose(batch: Any, fault: Any) -> Lose:
    """Loses the first answer to a request; what comes again is refused."""

    def lose(method: str, end: str, *, status: int = 409, code: str) -> None:
        asked: list[str] = []

        def answer(asked_method: str, path: str, _number: int) -> Any:
            if asked_method != method or not path.endswith(end):
                return None
            asked.append(path)
            return fault(drop=True) if len(asked) == 1 else fault(status=status, code=code)

        batch.fault = answer

    return lose


@pytest.fixture
def job(batch: Any) -> dict[str, Any]:
    batch.jobs["j"] = {"id": "j", "state": "active"}
    job: dict[str, Any] = batch.jobs["j"]
    return job


@pytest.mark.parametrize("code", ["JobBeingTerminated", "JobCompleted"])
@pytest.mark.parametrize(
    ("said", "ours"),
    [({}, True), ({"terminateReason": "MaxFails"}, True), ({"terminateReason": "other"}, False)],
)
def test_a_job_is_ended_by_the_call_whose_answer_was_lost(
    service: BatchService,
    job: dict[str, Any],
    lose: Lose,
    code: str,
    said: dict[str, str],
    *,
    ours: bool,
) -> None:
    job["executionInfo"] = said
    lose("POST", "/terminate", code=code)
    assert end_job(service, "j", "MaxFails") is ours


def test_a_job_that_was_over_was_not_ended_by_a_call_that_was_only_refused(
    service: BatchService, job: dict[str, Any], batch: Any, fault: Any
) -> None:
    job["executionInfo"] = {"terminateReason": "MaxFails"}
    batch.fault = lambda *_: fault(status=409, code="JobCompleted")
    assert end_job(service, "j", "MaxFails") is False
    assert len(batch.requests) == 1, "nothing else is asked"


@pytest.fixture
def schedule(values: Any, batch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A schedule that was submitted from here and has made no job."""
    stack = parse_stack(values(batch_endpoint=batch.url), where="test")
    session = Session(stack=stack)
    monkeypatch.setattr(session.service, "pause", lambda _seconds: None)
    monkeypatch.setattr(JobSchedule, "_listed", lambda _self: [])
    note_of("nightly", PLAN, tmp_path).write_manifest(
        Manifest(
            job_id="nightly", workload="job.yaml", stack="test", outputs=None, plan=PLAN,
            tasks=3, created="2026-11-20T02:00:00+00:00", overrides=(),
        )
    )  # fmt: skip
    name_last("nightly", PLAN, tmp_path)
    return JobSchedule(id="nightly", session=session, out=tmp_path)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "JobScheduleNotFound"), (409, "JobScheduleBeingDeleted")]
)
def test_a_schedule_is_removed_by_the_call_whose_answer_was_lost(
    schedule: JobSchedule, lose: Lose, tmp_path: Path, status: int, code: str
) -> None:
    lose("DELETE", "/jobschedules/nightly", status=status, code=code)
    schedule.delete()
    assert list(known_schedules(tmp_path)) == []


@pytest.mark.parametrize(
    ("status", "code"), [(404, "JobScheduleNotFound"), (409, "JobScheduleBeingDeleted")]
)
def test_a_schedule_that_another_removed_is_told_so(
    schedule: JobSchedule, batch: Any, fault: Any, tmp_path: Path, status: int, code: str
) -> None:
    batch.fault = lambda *_: fault(status=status, code=code)
    with pytest.raises(ServiceError, match=code):
        schedule.delete()
    assert list(known_schedules(tmp_path)) == ["nightly"]


def test_a_schedule_that_cannot_be_removed_is_not_forgotten(
    schedule: JobSchedule, lose: Lose, tmp_path: Path
) -> None:
    lose("DELETE", "/jobschedules/nightly", status=403, code="PermissionDenied")
    with pytest.raises(ServiceError, match="PermissionDenied"):
        schedule.delete()
    assert list(known_schedules(tmp_path)) == ["nightly"]
