"""`resume` lets a paused job go on, and says of one that was ended what runs the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.errors import InputError, ServiceError
from jobs.job import Job
from jobs.loading import LoadedWorkload
from jobs.plan import plan
from jobs.results import ResultTree, tree_of
from jobs.resuming import resumable
from jobs.run_options import RunOptions
from jobs.session import Session, Target
from jobs.stack import Stack, parse_stack
from jobs.submission import send
from jobs.terminal import Terminal


@pytest.fixture
def job(
    workload: Callable[..., LoadedWorkload], stack: Stack, batch: Any, values: Any, tmp_path: Path
) -> Job:
    """A job of two tasks, both submitted."""
    session = Session(stack=parse_stack(values(batch_endpoint=batch.url), where="test"))
    checked = check(workload("name: n\npool: cpu\ncommand: a {index}\ntasks: 2\n"), stack)
    tree = tree_of("job", tmp_path / "results")
    options = RunOptions(
        workload=checked.workload.path,
        target=Target(stack="s", outputs=None),
        overrides=(),
        out=tree.root.parent,
    )
    send(plan(checked, {}, job_id="job"), session, tree, options, Terminal(quiet=True))
    return Job(tree=tree, session=session)


def state_of(batch: Any) -> str:
    return str(batch.jobs["job"]["state"])


@pytest.mark.parametrize("state", ["disabled", "disabling"])
def test_a_job_that_a_failed_task_has_paused_is_enabled_whatever_its_file_says(
    job: Job, batch: Any, state: str
) -> None:
    batch.jobs["job"]["state"] = state
    Path(job.manifest.workload).unlink()
    assert job.resume() is job
    assert state_of(batch) == "active"
    assert sum(request.startswith("POST /jobs/job/enable") for request in batch.requests) == 1


def test_one_that_somebody_else_enables_at_the_same_time_goes_on_all_the_same(
    job: Job, batch: Any
) -> None:
    batch.jobs["job"]["state"] = "disabled"
    found = resumable(job.tree, job.session.service)
    assert found.only_paused
    found.enable(job.session.service)
    found.enable(job.session.service)
    assert state_of(batch) == "active"


def test_what_refuses_to_be_enabled_says_so(job: Job, batch: Any, fault: Any) -> None:
    batch.jobs["job"]["state"] = "disabled"
    refusal = fault(status=409, code="JobCompleted")
    batch.fault = lambda _method, path, _number: refusal if path.endswith("enable") else None
    with pytest.raises(ServiceError, match="enabling job job: JobCompleted"):
        job.resume()


@pytest.mark.parametrize(
    ("reason", "again"),
    [("CanceledByUser", "rerun job --canceled"), ("MaxFails", "rerun job")],
)
def test_a_job_that_was_ended_is_not_resumed_and_names_what_runs_the_rest(
    job: Job, batch: Any, reason: str, again: str
) -> None:
    batch.jobs["job"] |= {"state": "completed", "executionInfo": {"terminateReason": reason}}
    out = f" --out {job.tree.root.parent}"
    verb, _, rest = again.partition(" job")
    with pytest.raises(InputError, match=r"job job is over, it was ended") as refused:
        job.resume()
    assert f"python -m jobs {verb} job{out}{rest}; what it left" in str(refused.value)


def test_a_job_that_came_to_its_own_end_is_whole(job: Job, batch: Any) -> None:
    ended = {"terminateReason": "AllTasksCompleted"}
    batch.jobs["job"] |= {"state": "completed", "executionInfo": ended}
    found = resumable(job.tree, job.session.service)
    assert (found.whole, found.paused) == (True, False)


def test_all_of_a_job_that_batch_does_not_have_is_missing(job: Job, batch: Any) -> None:
    del batch.jobs["job"]
    found = resumable(ResultTree(job.tree.root), job.session.service)
    assert (found.whole, found.paused) == (False, False)


def test_a_scheduled_job_gets_its_tasks_by_itself_and_is_only_enabled(
    job: Job, batch: Any
) -> None:
    batch.jobs["job"] |= {"state": "disabled", "jobManagerTask": {"id": "manager"}}
    (submission,) = (
        item for item in batch.jobs["job"]["metadata"] if item["name"] == "jobs.submission"
    )
    submission["value"] = "unfinished"
    assert resumable(job.tree, job.session.service).only_paused
    assert job.resume() is job
    assert state_of(batch) == "active"
    assert sum("addtaskcollection" in request for request in batch.requests) == 1, "the first"
