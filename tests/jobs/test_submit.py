from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checking import check
from jobs.errors import CredentialError, InputError, NotFoundError, ServiceError, UnavailableError
from jobs.loading import LoadedWorkload
from jobs.plan import META_SUBMISSION, JobPlan, plan
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.submit import count_there, metadata_of, submit
from jobs.task_bodies import PlannedTask
from jobs.task_collections import collections

MakePlan = Callable[..., JobPlan]


@pytest.fixture
def make_plan(workload: Callable[..., LoadedWorkload], stack: Stack) -> MakePlan:
    def make(tasks: int = 250, command: str = "echo {index}", job_id: str = "job") -> JobPlan:
        text = f"name: n\npool: cpu\ncommand: {command}\ntasks: {tasks}\n"
        return plan(check(workload(text), stack), {}, job_id=job_id)

    return make


def test_every_task_is_added_once_and_the_job_may_end_then(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    seen: list[int] = []
    done = submit(make_plan(250), service, progress=seen.append)
    assert (done.added, done.present) == (250, 0)
    assert len(batch.tasks["job"]) == 250
    assert sorted(seen) == seen
    assert seen[-1] == 250
    job = batch.jobs["job"]
    assert job["onAllTasksComplete"] == "terminatejob"
    assert metadata_of(job)[META_SUBMISSION] == "complete"
    assert sum("addtaskcollection" in request for request in batch.requests) == 3


def test_a_job_is_unfinished_while_tasks_are_missing(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any
) -> None:
    batch.fault = lambda _method, path, _number: fault() if "collection" in path else None
    with pytest.raises(UnavailableError):
        submit(make_plan(10), service)
    assert batch.jobs["job"]["onAllTasksComplete"] == "noaction"
    assert metadata_of(batch.jobs["job"])[META_SUBMISSION] == "unfinished"


def test_what_a_job_has_is_counted_by_stage_and_nothing_of_one_that_was_not_made(
    workload: Callable[..., LoadedWorkload], stack: Stack, service: BatchService
) -> None:
    text = (
        "name: n\npool: cpu\nstages:\n  a: {command: x, tasks: 30}\n  b: {command: x, after: a}\n"
    )
    job = plan(check(workload(text), stack), {}, job_id="job")
    assert count_there(job, service) == {}
    submit(job, service, trial=(20, 0))
    assert count_there(job, service) == {10: 20}
    submit(job, service, resume=True)
    assert count_there(job, service) == {10: 30, 11: 1}


@pytest.mark.parametrize("seed", range(8))
def test_answers_that_are_lost_after_the_work_leave_each_task_once(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - faults, not secrets
    kinds = [
        fault(drop=True, after_work=True),
        fault(drop=True),
        fault(status=500, code="InternalError", after_work=True),
        fault(status=503),
        fault(status=429, headers={"Retry-After": "3"}),
        fault(cut=True, after_work=True),
        *[None] * 14,
    ]
    batch.fault = lambda _method, _path, _number: draw.choice(kinds)
    wanted = make_plan(330)
    done = submit(wanted, service)
    assert done.added + done.present == 330
    assert set(batch.tasks["job"]) == {task.id for task in wanted.tasks()}
    assert set(batch.added.values()) == {1}
    assert metadata_of(batch.jobs["job"])[META_SUBMISSION] == "complete"


STAGES = """\
name: n
pool: cpu
stages:
  part: {command: "echo {index}", tasks: 330}
  sum: {command: "COMMAND", after: part}
"""


@pytest.fixture
def make_stages(workload: Callable[..., LoadedWorkload], stack: Stack) -> MakePlan:
    def make(command: str = "add", **on_failure: str) -> JobPlan:
        text = STAGES.replace("COMMAND", command)
        text += "".join(f"on_failure: {word}\n" for word in on_failure.values())
        return plan(check(workload(text), stack), {}, job_id="job")

    return make


@pytest.mark.parametrize("seed", range(6))
def test_stages_are_sent_in_order_and_each_task_once(
    make_stages: MakePlan, service: BatchService, batch: Any, fault: Any, seed: int
) -> None:
    """What a task waits for is in when it is added, whatever the connection does."""
    draw = random.Random(seed)  # noqa: S311 - faults, not secrets
    kinds = [
        fault(drop=True, after_work=True),
        fault(status=503),
        fault(cut=True, after_work=True),
    ]
    batch.fault = lambda _method, path, _number: (
        draw.choice([*kinds, None, None, None]) if "collection" in path else None
    )
    done = submit(make_stages(), service)
    assert done.added + done.present == 331
    assert set(batch.added.values()) == {1}
    assert list(batch.tasks["job"])[-1] == "110000000"


def test_a_submission_of_stages_that_was_cut_short_is_resumed(
    make_stages: MakePlan, service: BatchService, batch: Any, fault: Any
) -> None:
    sent: list[int] = []

    def die(_method: str, path: str, _number: int) -> Any:
        sent.append("collection" in path)
        return fault(status=503) if sum(sent) > 2 else None

    batch.fault = die
    with pytest.raises(UnavailableError):
        submit(make_stages(), service)
    there = len(batch.tasks["job"])
    assert 0 < there < 331
    batch.fault = lambda *_: None
    done = submit(make_stages(), service, resume=True)
    assert (done.present, done.added) == (there, 331 - there)
    assert set(batch.added.values()) == {1}


def test_a_number_that_is_taken_by_another_task_is_found_out(
    make_stages: MakePlan, service: BatchService, batch: Any
) -> None:
    """Ids of stages are numbers: what a task does is compared by its display name."""
    submit(make_stages(), service)
    job = batch.jobs["job"]
    for item in job["metadata"]:
        if item["name"] == META_SUBMISSION:
            item["value"] = "unfinished"
    batch.tasks["job"]["100000007"]["displayName"] = "part/7 somebody else's"
    with pytest.raises(ServiceError, match="100000007 exists in the job and differs"):
        submit(make_stages(), service, resume=True)
    assert "job" in batch.jobs, "it was there before: what refuses to go on does not delete it"
    assert len(batch.tasks["job"]) == 331


def test_a_job_that_a_failed_task_has_ended_takes_no_more(
    make_stages: MakePlan, service: BatchService, batch: Any, fault: Any
) -> None:
    def ended(_method: str, path: str, number: int) -> Any:
        if "collection" not in path or number < 3:
            return None
        batch.jobs["job"]["state"] = "completed"
        batch.jobs["job"]["executionInfo"] = {"terminateReason": "TaskFailed"}
        return fault(status=409, code="JobCompleted")

    batch.fault = ended
    done = submit(make_stages(on_failure="stop"), service)
    assert done.stopped
    assert 0 < done.added < 331
    assert "job" in batch.jobs, "what ran so far is kept"


def test_a_submission_that_was_cut_short_is_resumed(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any
) -> None:
    sent: list[int] = []

    def die(_method: str, path: str, _number: int) -> Any:
        if "collection" in path:
            sent.append(1)
            return fault(status=503) if len(sent) > 2 else None
        return None

    batch.fault = die
    with pytest.raises(UnavailableError):
        submit(make_plan(1000), service)
    there = len(batch.tasks["job"])
    assert 0 < there < 1000
    batch.fault = lambda *_: None
    done = submit(make_plan(1000), service, resume=True)
    assert (done.present, done.added) == (there, 1000 - there)
    assert set(batch.added.values()) == {1}
    again = submit(make_plan(1000), service, resume=True)
    assert (again.present, again.added) == (1000, 0)


def test_a_job_that_ends_before_the_answer_to_its_closing_comes_is_submitted(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any
) -> None:
    closed: list[int] = []

    def lose_then_refuse(method: str, _path: str, _number: int) -> Any:
        if method != "PATCH":
            return None
        closed.append(1)
        if len(closed) == 1:
            return fault(drop=True, after_work=True)
        return fault(status=409, code="JobCompleted")

    batch.fault = lose_then_refuse
    assert submit(make_plan(3), service).added == 3
    assert "job" in batch.jobs


def test_a_job_of_another_workload_is_not_touched(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    submit(make_plan(3), service)
    with pytest.raises(InputError, match=r"exists already.*resume job"):
        submit(make_plan(3), service)
    with pytest.raises(InputError, match="made from another workload"):
        submit(make_plan(4), service, resume=True)
    assert len(batch.tasks["job"]) == 3


def test_a_task_that_exists_and_is_another_one_is_refused(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    wanted = make_plan(1)
    task_id = next(wanted.tasks()).id

    def intrude(_method: str, path: str, _number: int) -> None:
        if "collection" in path:
            batch.tasks["job"].setdefault(task_id, {"id": task_id, "commandLine": "rm -rf /"})

    batch.fault = intrude
    with pytest.raises(ServiceError, match="differs in commandLine"):
        submit(wanted, service)


def singly(batch: Any) -> list[str]:
    """Requests that read one task."""
    return [one for one in batch.requests if one.startswith("GET") and "/tasks/" in one]


def let_another_submit(batch: Any, wanted: JobPlan, *, close: bool) -> None:
    """Somebody else sends all tasks after ours were listed, and perhaps ends the submission."""

    once = threading.Lock()
    done: list[bool] = []

    def act(_method: str, path: str, _number: int) -> None:
        if "collection" not in path:
            return
        with once:
            for task in () if done else wanted.tasks():
                batch._add("job", json.loads(task.body))
            if close:
                batch.jobs["job"] |= wanted.complete_body
            done.append(True)

    batch.fault = act


def test_who_comes_second_leaves_off_once_the_first_has_submitted_all(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    """It asks the job whether anything is missing, and does not compare each task."""
    wanted = make_plan(5000)
    submit(wanted, service, trial=(100,))
    batch.requests.clear()
    let_another_submit(batch, wanted, close=True)
    done = submit(wanted, service, resume=True)
    assert (done.added, done.present) == (0, 5000)
    assert not singly(batch)
    sent = sum("collection" in request for request in batch.requests)
    assert sent < 49, "nothing is sent that is known to be there"


def test_who_comes_second_compares_a_collection_by_one_list(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    wanted = make_plan(1000)
    submit(wanted, service, trial=(100,))
    batch.requests.clear()
    let_another_submit(batch, wanted, close=False)
    submit(wanted, service, resume=True)
    assert not singly(batch)
    assert sum("id%20ge" in request or "id+ge" in request for request in batch.requests) == 9
    assert metadata_of(batch.jobs["job"])[META_SUBMISSION] == "complete"
    assert set(batch.added.values()) == {1}


def test_who_comes_second_is_done_where_the_job_has_ended_by_then(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any
) -> None:
    wanted = make_plan(1000)
    submit(wanted, service, trial=(100,))

    def ended(_method: str, path: str, _number: int) -> Any:
        if "collection" not in path:
            return None
        batch.jobs["job"] |= {**wanted.complete_body, "state": "completed"}
        return fault(status=409, code="JobCompleted")

    batch.fault = ended
    done = submit(wanted, service, resume=True)
    assert (done.added, done.present) == (0, 1000)


def test_one_of_many_tasks_that_exist_and_is_another_one_is_refused(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    wanted = make_plan(250)
    ours = list(wanted.tasks())
    submit(wanted, service, trial=(100,))
    let_another_submit(batch, wanted, close=False)
    batch.tasks["job"][ours[170].id] = {
        "id": ours[170].id, "state": "active", "commandLine": "rm -rf /",
    }  # fmt: skip
    present = [one.id for one in ours[:100]]
    batch._list = lambda job, query: {
        "value": [
            task
            for task in batch.tasks[job].values()
            if "$filter" in query or task["id"] in present
        ]
    }
    with pytest.raises(ServiceError, match=f"{ours[170].id} exists .* differs in commandLine"):
        submit(wanted, service, resume=True)


def test_items_that_the_server_fails_are_sent_again(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    failed: set[str] = set()

    def fail_once(task_id: str) -> dict[str, Any] | None:
        if task_id in failed or not task_id.startswith(("0000003", "0000005")):
            return None
        failed.add(task_id)
        error = {"code": "ServerBusy", "message": {"value": "busy"}}
        return {"status": "ServerError", "error": error}

    batch.item_fault = fail_once
    assert submit(make_plan(10), service).added == 10
    assert len(failed) == 2


def test_items_that_the_server_goes_on_failing_end_it_and_it_can_be_resumed(
    make_plan: MakePlan, service: BatchService, batch: Any, pauses: list[float]
) -> None:
    job = make_plan(10)
    batch.item_fault = lambda task_id: (
        {"status": "ServerError"} if task_id.startswith("0000007") else None
    )
    with pytest.raises(UnavailableError, match=r"failed 1 tasks 8 times, 0000007-"):
        submit(job, service)
    assert len(pauses) == 7
    assert "job" in batch.jobs, "it is left for resume"
    batch.item_fault = lambda _task_id: None
    assert submit(job, service, resume=True).added == 1
    assert set(batch.added.values()) == {1}


def test_an_item_that_is_refused_ends_it_and_leaves_nothing_behind(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    error = {
        "code": "InvalidPropertyValue",
        "message": {"value": "The value is invalid.\nRequestId:1"},
        "values": [{"key": "PropertyName", "value": "commandLine"}],
    }
    batch.item_fault = lambda _: {"status": "ClientError", "error": error}
    with pytest.raises(ServiceError, match=r"InvalidPropertyValue.*PropertyName: commandLine"):
        submit(make_plan(10), service)
    assert not batch.jobs


@pytest.mark.parametrize("message", [{}, {"message": None}, {"message": {"value": ""}}])
def test_an_item_that_is_refused_without_a_word_is_told_all_the_same(
    make_plan: MakePlan, service: BatchService, batch: Any, message: dict[str, Any]
) -> None:
    batch.item_fault = lambda _: {"status": "ClientError", "error": {"code": "Odd", **message}}
    with pytest.raises(ServiceError, match=r"task 0000000-\w+: Odd: the service does not say why"):
        submit(make_plan(1), service)
    assert not batch.jobs


def test_too_large_a_collection_is_halved(
    make_plan: MakePlan, service: BatchService, batch: Any
) -> None:
    batch.max_body = 20_000
    submit(make_plan(100), service)
    assert len(batch.tasks["job"]) == 100


def test_retry_after_is_honoured_and_waits_are_bounded(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any, pauses: list[float]
) -> None:
    batch.fault = lambda _m, _p, number: (
        fault(status=429, headers={"Retry-After": "7"}) if number < 5 else None
    )
    submit(make_plan(1), service)
    assert len(pauses) == 4
    assert all(7 <= pause <= 8 for pause in pauses)


def test_a_storm_of_refusals_ends(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any, pauses: list[float]
) -> None:
    batch.fault = lambda *_: fault(status=429, code="TooManyRequests")
    with pytest.raises(UnavailableError, match="TooManyRequests"):
        submit(make_plan(1), service)
    assert len(batch.requests) == service.policy.attempts
    assert max(pauses) <= service.policy.longest_wait_s


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AuthenticationFailed", CredentialError),
        (409, "ActiveJobAndScheduleQuotaReached", ServiceError),
        (404, "PoolNotFound", NotFoundError),
        (501, "NotImplemented", ServiceError),
    ],
)
def test_a_refusal_is_told_by_its_code_and_not_repeated(
    make_plan: MakePlan, service: BatchService, batch: Any, fault: Any,
    status: int, code: str, error: type[ServiceError],
) -> None:  # fmt: skip
    batch.fault = lambda *_: fault(status=status, code=code)
    with pytest.raises(error, match=code) as caught:
        submit(make_plan(1), service)
    assert type(caught.value) is error
    assert caught.value.exit_code == 3
    assert len(batch.requests) == 1


@given(
    st.lists(st.integers(50, 5_000), min_size=1, max_size=300),
    st.integers(1, 100),
    st.integers(5_100, 40_000),
)
def test_collections_keep_order_and_both_limits(
    sizes: list[int], max_tasks: int, max_bytes: int
) -> None:
    tasks = [
        PlannedTask(index=i, id=str(i), body=json.dumps({"x": "y" * size}).encode())
        for i, size in enumerate(sizes)
    ]
    cut = list(collections(iter(tasks), max_tasks=max_tasks, max_bytes=max_bytes))
    assert [task for batch in cut for task in batch] == tasks
    for batch in cut:
        assert 0 < len(batch) <= max_tasks
        body = b'{"value":[' + b",".join(task.body for task in batch) + b"]}"
        assert len(body) <= max_bytes
        assert len(json.loads(body)["value"]) == len(batch)


def test_one_task_over_the_limit_is_an_input_error() -> None:
    task = PlannedTask(index=3, id="3", body=b"x" * 2_000_000)
    with pytest.raises(InputError, match="task 3 takes 2,000,000 bytes"):
        list(collections([task]))
