"""A list of many jobs at the emulator: how many requests it takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from jobs.outcomes import JobList
from jobs.session import Session, Target
from jobs.task_totals import FEW

pytestmark = pytest.mark.slow
COUNT = FEW + 3


def submit(session: Session, job_id: str, exit_codes: tuple[int, ...]) -> None:
    """A job as a submission leaves it, that ends with its tasks."""
    metadata = {"jobs.workload": "mc", "jobs.tasks": str(len(exit_codes))}
    session.service.call(
        "POST",
        "/jobs",
        "adding",
        body={
            "id": job_id,
            "poolInfo": {"poolId": session.stack.pools["cpu"].id},
            "metadata": [{"name": name, "value": value} for name, value in metadata.items()],
        },
    )
    tasks = [
        {"id": str(n), "commandLine": f"/bin/sh -c 'exit {code}'"}
        for n, code in enumerate(exit_codes)
    ]
    session.service.call("POST", f"/jobs/{job_id}/addtaskcollection", "adding",
                         body={"value": tasks})  # fmt: skip
    session.service.call("PATCH", f"/jobs/{job_id}", "closing",
                         body={"onAllTasksComplete": "terminatejob"})  # fmt: skip


def test_a_list_of_many_jobs_that_are_over_takes_two_requests(
    directory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPC_LOCAL_DIR", directory.environment["HPC_LOCAL_DIR"])
    monkeypatch.delenv("AZURE_BATCH_ACCESS_KEY", raising=False)
    target = Target(stack="local", outputs=None)
    session = Session(stack=target.load())
    for number in range(COUNT):
        submit(session, f"many-{number}", (0, number % 2))
    found = JobList(session=session, target=target, out=Path("nowhere"))
    deadline = time.monotonic() + 120
    while any(row.state != "completed" for row in found.rows(["job_id=many-"], outcomes=False)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = session.service.requests_sent
    rows = found.rows(["job_id=many-"])
    assert session.service.requests_sent - before == 2
    outcomes = {row.job_id: row.outcome for row in rows}
    assert outcomes == {
        f"many-{n}": "1 failed" if n % 2 else "succeeded" for n in range(COUNT)
    }  # fmt: skip
