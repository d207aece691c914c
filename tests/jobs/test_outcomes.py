"""What became of the jobs of a list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.client import Client
from jobs.errors import InputError
from jobs.listing import JobRow, jobs_of
from jobs.outcomes import JobList, outcome_of
from jobs.results import Attempt, Manifest, tree_of, write_json
from jobs.session import Session, Target

TARGET = Target(stack="local", outputs=None)
MOMENT = "2026-11-21T10:00:0{}Z"


def job(
    job_id: str, state: str = "completed", reason: str = "AllTasksCompleted"
) -> dict[str, Any]:
    over = {"endTime": MOMENT.format(9), "terminateReason": reason} if state == "completed" else {}
    metadata = {"jobs.workload": "mc", "jobs.tasks": "3", "jobs.submission": "complete"}
    return {
        "id": job_id, "state": state, "creationTime": MOMENT.format(0),
        "metadata": [{"name": name, "value": value} for name, value in metadata.items()],
        "poolInfo": {"poolId": "pool-cpu"},
        "executionInfo": {"startTime": MOMENT.format(1), **over},
    }  # fmt: skip


@pytest.fixture
def listed(batch: Any, session: Session, tmp_path: Path) -> tuple[Any, JobList]:
    """An account without jobs, and the list of them."""
    return batch, JobList(session=session, target=TARGET, out=tmp_path)


def add(batch: Any, made: dict[str, Any], exit_codes: tuple[int, ...] = ()) -> None:
    batch.jobs[made["id"]] = made
    batch.tasks[made["id"]] = {str(number): {} for number in range(3)}
    for number in range(3):
        batch.tasks[made["id"]][str(number)] = {"id": str(number), "state": "active"}
    for number, exit_code in enumerate(exit_codes):
        batch.complete(made["id"], str(number), exit_code=exit_code)


def tree(out: Path, job_id: str, *, stack: str = "local", again: bool = False) -> None:
    attempt = Attempt(job_id=f"{job_id}-r2", tasks="0", created=MOMENT.format(5))
    found = tree_of(job_id, out)
    found.write_manifest(
        Manifest(
            job_id=job_id, workload="w", stack=stack, outputs=None, plan="p", tasks=3,
            created=MOMENT.format(0), attempts=(attempt,) if again else (),
        )
    )  # fmt: skip
    write_json(
        found.report_file,
        {
            "succeeded": 3, "failed": 0, "unfinished": 0, "task_s": 1.0, "cost": 0.25,
            "currency": "EUR", "stages": [],
        },
    )  # fmt: skip


def requests(batch: Any) -> list[str]:
    return [text.partition("?")[0] for text in batch.requests]


def test_a_job_that_is_over_says_how_its_tasks_fared(listed: tuple[Any, JobList]) -> None:
    batch, jobs = listed
    add(batch, job("good"), (0, 0, 0))
    add(batch, job("bad"), (0, 1, 9))
    add(batch, job("cut", reason="MaxCost"), (0,))
    add(batch, job("ended", reason="CanceledByUser"), (0, 1))
    add(batch, job("alive", state="active"), (0, 1))
    add(batch, job("going", state="terminating"))
    found = {row.job_id: row for row in jobs.rows()}
    assert {name: row.outcome for name, row in found.items()} == {
        "good": "succeeded", "bad": "2 failed", "cut": "2 never ran", "ended": "canceled",
        "alive": "running", "going": "terminating",
    }  # fmt: skip
    assert (found["bad"].succeeded, found["bad"].failed) == (1, 2)
    assert (found["bad"].pool, found["bad"].duration_s) == ("cpu", 8.0)
    assert (found["alive"].failed, found["alive"].duration_s, found["alive"].cost) == (None,) * 3
    counted = [text for text in requests(batch) if text.endswith("taskcounts")]
    assert len(counted) == 4, "one for each job that is over"


def test_a_report_of_the_end_spares_the_request_and_knows_the_cost(
    listed: tuple[Any, JobList], tmp_path: Path
) -> None:
    batch, jobs = listed
    add(batch, job("here"), (1, 1, 1))
    tree(tmp_path, "here")
    (row,) = jobs.rows()
    assert (row.outcome, row.succeeded, row.cost, row.currency) == ("succeeded", 3, 0.25, "EUR")
    assert requests(batch) == ["GET /jobs"]


def test_a_report_of_several_attempts_is_none_of_the_first_one(
    listed: tuple[Any, JobList], tmp_path: Path
) -> None:
    batch, jobs = listed
    add(batch, job("here"), (1, 0, 0))
    tree(tmp_path, "here", again=True)
    (row,) = jobs.rows()
    assert (row.outcome, row.cost) == ("1 failed", 0.25)


def test_a_job_whose_answer_is_stale_did_not_just_succeed(
    listed: tuple[Any, JobList], tmp_path: Path
) -> None:
    batch, jobs = listed
    add(batch, job("here"), (0, 0, 0))
    tree(tmp_path, "here", again=True)
    found = tree_of("here", tmp_path)
    manifest = found.read_manifest()
    again = replace(manifest.attempts[0], tasks="100000000", after={"sum": {"sim": "all"}})
    found.write_manifest(replace(manifest, stages={"sim": 2, "sum": 1}, attempts=(again,)))
    (row,) = jobs.rows()
    assert (row.outcome, row.stale) == ("1 stale", 1)
    assert jobs.rows(["outcome=stale"]) == [row]


def test_a_tree_of_another_stack_says_nothing_of_a_job_of_that_name(
    listed: tuple[Any, JobList], tmp_path: Path
) -> None:
    batch, jobs = listed
    add(batch, job("here"), (1, 0, 0))
    tree(tmp_path, "here", stack="other")
    (row,) = jobs.rows()
    assert (row.outcome, row.cost) == ("1 failed", None)


def test_jobs_that_are_filtered_out_are_not_asked_for(listed: tuple[Any, JobList]) -> None:
    batch, jobs = listed
    add(batch, job("good"), (0, 0, 0))
    add(batch, job("bad"), (0, 1, 0))
    assert [row.job_id for row in jobs.rows(["job_id=good"])] == ["good"]
    assert requests(batch) == ["GET /jobs", "GET /jobs/good/taskcounts"]
    assert [row.job_id for row in jobs.rows(["outcome=failed", "pool=cpu"])] == ["bad"]
    batch.requests.clear()
    with pytest.raises(InputError, match="--filter"):
        jobs.rows(["outcome"])
    assert not batch.requests


def test_a_job_that_goes_while_it_is_asked_for_is_unknown(listed: tuple[Any, JobList]) -> None:
    batch, jobs = listed
    add(batch, job("gone"), (0, 0, 0))
    missing = jobs_of(jobs.session.service)
    del batch.jobs["gone"]
    assert [row.outcome for row in jobs.told(missing)] == ["unknown"]


def test_a_job_that_is_being_submitted_is_listed_as_such(listed: tuple[Any, JobList]) -> None:
    batch, jobs = listed
    for job_id in ("young", "old", "nightly:job-1"):
        made = job(job_id, state="active")
        made["metadata"][2]["value"] = "unfinished"
        add(batch, made, (0, 0, 0))
        batch.age(job_id)
    batch.jobs["young"]["creationTime"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    outcomes = {row.job_id: row.outcome for row in jobs.rows()}
    assert outcomes == {"young": "submitting", "old": "unfinished", "nightly:job-1": "running"}
    missing = jobs_of(jobs.session.service)
    del batch.jobs["old"]
    assert {row.job_id: row.outcome for row in jobs.told(missing)} == outcomes


def test_an_unfinished_submission_is_no_running_job() -> None:
    row = JobRow(
        job_id="j", workload="w", state="active", tasks=3, submission="unfinished", ended="",
        created=MOMENT.format(0),
    )  # fmt: skip
    assert outcome_of(row) == "unfinished"
    assert outcome_of(replace(row, job_id="nightly:job-1")) == "running", "its manager adds them"


def test_a_list_of_long_ids_fits_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC).isoformat()
    rows = [
        JobRow(
            job_id="montecarlo-261121-191328-57e4", workload="w", state="completed", tasks=100_000,
            submission="complete", ended="", created=created, duration_s=7800.0,
            cost=cost, currency="USD", outcome=outcome,
        )
        for cost, outcome, created in (
            (12.3, "12 never ran", now), (0.00001, "succeeded", now),
            (None, "unknown", "2016-11-21T10:00:00Z"),
        )
    ]  # fmt: skip
    monkeypatch.setattr(Client, "list", lambda *_, **__: rows)
    lines = CliRunner().invoke(app, ["list", "--stack", "x"]).output.splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 80 for line in lines)
    assert f"ran 100000    2h10m   $12.30 {now[5:16].replace('T', ' ')}" in lines[1]
    assert lines[3].endswith(" 2016-11-21")
    assert "<$0.0001" in lines[2]
