"""Nothing moves any more: what is waited for in vain, and what only takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.errors import EXIT_UNFINISHED, UnfinishedError
from jobs.explain import explain_job
from jobs.following import ways_on
from jobs.loading import LoadedWorkload
from jobs.logs import LogReader
from jobs.looks import Cause, Look
from jobs.plan import plan
from jobs.results import ResultTree
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.standstill import UNSENT_AFTER_S
from jobs.submit import submit
from jobs.watch import Watcher, watch

MakeWorkload = Callable[..., LoadedWorkload]
STAGES = """\
    name: n
    pool: cpu
    stages:
      sim: {command: "a {index}", tasks: 6}
      each: {after: {sim: each}, command: "b {index}", tasks: 6}
    """


class Clock:
    """A clock that moves when somebody waits; each wait may have a consequence."""

    def __init__(self) -> None:
        self.time = 0.0
        self.then: Iterator[Callable[[], object]] = iter(())

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        assert self.time < 1000, "it is waited for in vain"
        self.time += seconds
        next(self.then, lambda: None)()


@pytest.fixture
def half(workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any) -> list[str]:
    """A job of 12 tasks in two stages whose submitter was killed after 2 of the first."""
    job = plan(check(workload(STAGES), stack), {}, job_id="job")
    submit(job, service, trial=(2, 0))
    batch.age("job")
    return [task.id for task in job.tasks()]


def test_an_unfinished_submission_ends_the_waiting_when_nothing_is_left_to_run(
    half: list[str], service: BatchService, batch: Any
) -> None:
    clock = Clock()
    looks: list[Look] = []
    clock.then = iter([lambda: None, *(partial(batch.complete, "job", t) for t in half[:2])])
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    with pytest.raises(UnfinishedError, match="10 of 12 tasks that were not submitted") as caught:
        watch(watcher, looks.append, pause=clock.pause)
    assert caught.value.exit_code == EXIT_UNFINISHED
    assert clock.time >= UNSENT_AFTER_S, "somebody may be submitting"
    last = looks[-1]
    assert last is watcher.last
    assert last.standstill is not None
    assert (last.standstill.cause, last.standstill.number) == (Cause.UNSENT, 10)
    assert (last.over, last.waiting, last.succeeded, last.unsubmitted) == (False, 0, 2, 10)
    (reason,) = last.reasons
    assert reason == (
        "its submission was not finished: 2 of 12 tasks are in; "
        "python -m jobs resume job goes on with it"
    ), "a pool without nodes is no reason: nothing waits for one"
    assert all(look.standstill is None for look in looks[:-1])
    assert batch.jobs["job"]["state"] == "active", "resume goes on with it"


def test_a_submission_that_goes_on_elsewhere_is_waited_for(
    half: list[str],
    workload: MakeWorkload,
    stack: Stack,
    service: BatchService,
    batch: Any,
) -> None:
    clock = Clock()

    def finish() -> None:
        submit(plan(check(workload(STAGES), stack), {}, job_id="job"), service, resume=True)
        for task in half:
            batch.complete("job", task)

    for task in half[:2]:
        batch.complete("job", task)
    clock.then = iter([*[lambda: None] * 5, finish])
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    last = watch(watcher, lambda _look: None, pause=clock.pause)
    assert (last.over, last.succeeded, last.reasons) == (True, 12, ())


@pytest.mark.parametrize("young", ["the job", "a task"])
def test_a_submission_in_progress_is_told_as_such(
    half: list[str], service: BatchService, batch: Any, tmp_path: Path, young: str
) -> None:
    """Nobody is to resume what somebody else is submitting just now."""
    one = batch.jobs["job"] if young == "the job" else batch.tasks["job"][half[1]]
    one["creationTime"] = f"{datetime.now(UTC) + timedelta(seconds=2):%Y-%m-%dT%H:%M:%S.%fZ}"
    watcher = Watcher(service=service, job_id="job")
    look = watcher.look()
    assert (look.arriving, look.resumable) == (True, False)
    assert look.reasons[0] == "it is being submitted: 2 of 12 tasks are in"
    tree = ResultTree(tmp_path / "job")
    assert list(ways_on(tree, look)) == ["wait", "cancel"]
    one["creationTime"] = "2026-01-01T00:00:00.000000Z"
    look = Watcher(service=service, job_id="job").look()
    assert (look.arriving, look.resumable) == (False, True)
    assert list(ways_on(tree, look)) == ["resume", "cancel"]


def test_tasks_that_wait_for_nodes_are_waited_for_whatever_was_not_submitted(
    half: list[str], service: BatchService
) -> None:
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    with pytest.raises(UnfinishedError, match="after 100 s; it goes on"):
        watch(watcher, lambda _look: None, timeout_s=100, pause=clock.pause)
    assert watcher.last is not None
    assert watcher.last.standstill is None
    submission, pool = watcher.last.reasons
    assert submission.startswith("its submission was not finished: 2 of 12")
    assert "no nodes" in pool
    assert half


def test_an_unfinished_submission_whose_rest_is_blocked_is_not_ended_but_left(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    job = plan(check(workload(STAGES), stack), {}, job_id="job")
    submit(job, service, trial=(1, 1))
    first, behind = sorted(batch.tasks["job"])
    assert batch.tasks["job"][behind]["dependsOn"]
    batch.complete("job", first, exit_code=1)
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    with pytest.raises(UnfinishedError, match="10 of 12 tasks that were not submitted"):
        watch(watcher, lambda _look: None, pause=clock.pause)
    assert watcher.last is not None
    assert (watcher.last.over, watcher.last.waiting, watcher.last.blocked) == (False, 1, 0)


def test_a_job_that_is_disabled_is_left_to_whom_enables_it(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    """As `on_failure: pause` leaves it: nothing runs until somebody says so."""
    text = "name: n\npool: cpu\ncommand: a {index}\ntasks: 6\n"
    job = plan(check(workload(text), stack), {}, job_id="job")
    submit(job, service)
    ids = sorted(batch.tasks["job"])

    def pause_it() -> None:
        batch.complete("job", ids[0], exit_code=12)
        batch.jobs["job"]["state"] = "disabled"

    clock = Clock()
    clock.then = iter([lambda: None, pause_it])
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    with pytest.raises(UnfinishedError, match="job job is disabled, with 5 of 6 tasks to go"):
        watch(watcher, lambda _look: None, pause=clock.pause)
    assert clock.time >= UNSENT_AFTER_S, "somebody may be enabling it"
    last = watcher.last
    assert last is not None
    assert last.standstill is not None
    assert last.standstill.cause == Cause.DISABLED
    assert (last.over, last.waiting, last.failed, last.paused) == (False, 5, 1, True)
    assert last.reasons[0].endswith("python -m jobs resume job does so")
    assert list(ways_on(ResultTree(Path("results/job")), last)) == ["resume", "cancel"]
    assert batch.jobs["job"]["state"] == "disabled"


def test_a_disabled_job_whose_tasks_are_blocked_is_not_ended_before_somebody_enables_it(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    """`pause` is for a look at what failed, and nothing can be seen of a job that was ended."""
    text = "name: n\npool: cpu\nstages:\n  a: {command: x}\n  b: {command: y, after: a}\n"
    submit(plan(check(workload(text), stack), {}, job_id="job"), service)
    first, _ = sorted(batch.tasks["job"])
    batch.complete("job", first, exit_code=12)
    batch.jobs["job"]["state"] = "disabled"
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    with pytest.raises(UnfinishedError, match="is disabled, with 1 of 2 tasks to go"):
        watch(watcher, lambda _look: None, pause=clock.pause)
    batch.jobs["job"]["state"] = "active"
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    look = watch(watcher, lambda _look: None, pause=clock.pause)
    assert (look.over, look.blocked) == (True, 1)


def test_a_disabled_job_is_waited_for_as_long_as_its_tasks_run(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    text = "name: n\npool: cpu\ncommand: a {index}\ntasks: 2\n"
    submit(plan(check(workload(text), stack), {}, job_id="job"), service)
    first, last = sorted(batch.tasks["job"])
    batch.jobs["job"]["state"] = "disabled"
    batch.tasks["job"][first]["state"] = "running"
    clock = Clock()

    def end() -> None:
        assert clock.time > UNSENT_AFTER_S
        batch.complete("job", first)
        batch.jobs["job"]["state"] = "active"
        batch.complete("job", last)

    clock.then = iter([*[lambda: None] * 40, end])
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    look = watch(watcher, lambda _look: None, pause=clock.pause)
    assert (look.over, look.succeeded, look.standstill) == (True, 2, None)


def test_a_trial_is_over_with_its_own_tasks(
    half: list[str], service: BatchService, batch: Any
) -> None:
    clock = Clock()
    clock.then = iter([partial(batch.complete, "job", t) for t in half[:2]])
    watcher = Watcher(service=service, job_id="job", now=clock.now, total=2)
    last = watch(watcher, lambda _look: None, pause=clock.pause)
    assert (last.over, last.succeeded, last.unsubmitted, last.reasons) == (True, 2, 0, ())


def test_one_look_and_an_explanation_say_so_at_once_and_once(
    half: list[str],
    service: BatchService,
    batch: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for task in half[:2]:
        batch.complete("job", task)
    look = Watcher(service=service, job_id="job").look()
    assert look.standstill is None
    assert look.waiting + look.running + look.ended + look.unsubmitted == look.total
    reader = LogReader(
        service=service, job_id="job", tree=ResultTree(tmp_path / "r"), container=None,  # type: ignore[arg-type] # never asked
    )  # fmt: skip
    plain = batch.answer

    def answer(method: str, raw: str, body: bytes) -> tuple[int, Any]:
        status, value = (200, {"value": []}) if "/nodes?" in raw else plain(method, raw, body)
        return int(status), value

    monkeypatch.setattr(batch, "answer", answer)
    made = explain_job(Watcher(service=service, job_id="job"), reader)
    assert made.reasons == look.reasons
    assert made.commands == ("python -m jobs resume job",)
