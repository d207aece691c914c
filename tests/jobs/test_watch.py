from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from jobs.checking import check
from jobs.errors import NotFoundError, UnfinishedError
from jobs.loading import LoadedWorkload
from jobs.looks import Look, PoolView, TaskEnd, task_end
from jobs.pace import Pace
from jobs.plan import plan
from jobs.progress import Progress
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.standing import counts_text, ended_text, look_json
from jobs.submit import submit
from jobs.watch import Watcher, watch

MakeWorkload = Callable[..., LoadedWorkload]


class Clock:
    """A clock that moves when somebody waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds
        self.waits.append(seconds)
        self.then()


@pytest.fixture
def submitted(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> Callable[[int], list[str]]:
    def make(tasks: int) -> list[str]:
        loaded = workload(f"name: n\npool: cpu\ncommand: a {{index}}\ntasks: {tasks}\n")
        job = plan(check(loaded, stack), {}, job_id="job")
        submit(job, service)
        batch.requests.clear()
        return [task.id for task in job.tasks()]

    return make


def test_a_job_is_watched_until_its_last_task(
    submitted: Callable[[int], list[str]], service: BatchService, batch: Any
) -> None:
    left = submitted(20)
    clock = Clock()
    looks: list[Look] = []

    def work() -> None:
        for task in left[:3]:
            batch.complete("job", task, exit_code=int(task.startswith("0000004")))
        del left[:3]

    clock.then = work
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    last = watch(watcher, looks.append, pause=clock.pause)
    assert (last.succeeded, last.failed, last.over) == (19, 1, True)
    assert len(watcher.ends) == 20
    assert last.first_failure is not None
    assert last.first_failure.id.startswith("0000004")
    assert [look.ended for look in looks] == sorted(look.ended for look in looks)


def test_a_look_at_a_large_job_costs_what_changed(
    submitted: Callable[[int], list[str]], service: BatchService, batch: Any
) -> None:
    tasks = submitted(5000)
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    for task in tasks[:4000]:
        batch.complete("job", task)
        batch.tasks["job"][task]["stateTransitionTime"] = "2026-01-01T00:00:00Z"
    batch.tasks["job"][tasks[3999]]["stateTransitionTime"] = "2026-01-02T00:00:00Z"
    watcher.look()
    for _ in range(4):
        batch.requests.clear()
        clock.time += 1
        watcher.look()
        assert len(batch.requests) <= 1, "nothing changed: the counts alone"
    for task in tasks[4000:4100]:
        batch.tasks["job"][task]["stateTransitionTime"] = "2999-01-01T00:00:00Z"
        batch.complete("job", task)
    batch.requests.clear()
    clock.time += 60
    assert watcher.look().ended == 4100
    assert len(watcher.ends) == 4100
    assert len(batch.requests) <= 5, "the counts, what ended lately, the job, the pool"


def test_a_job_that_is_ending_costs_what_changed_and_is_read_whole_once(
    submitted: Callable[[int], list[str]], service: BatchService, batch: Any
) -> None:
    """Tasks that never ran stay active for ever, so that the ends are never as many as tasks."""
    tasks = submitted(60)
    batch.page = 10
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    for number, task in enumerate(tasks[:30]):
        batch.complete("job", task)
        ended = f"2026-01-01T00:{number:02d}:00Z"
        batch.tasks["job"][task]["stateTransitionTime"] = ended
    batch.tasks["job"][tasks[30]]["state"] = "running"
    watcher.look()
    batch.jobs["job"]["state"] = "terminating"

    def read() -> int:
        batch.requests.clear()
        clock.time += 60
        watcher.look()
        return sum("/tasks?" in request for request in batch.requests)

    assert [read() for _ in range(4)] == [0, 0, 0, 0]
    batch.complete("job", tasks[30])
    assert read() == 1
    # one that ended before others that were read already
    batch.complete("job", tasks[31])
    batch.tasks["job"][tasks[31]]["stateTransitionTime"] = "2026-01-01T00:00:30Z"
    batch.jobs["job"]["state"] = "completed"
    assert read() >= 4
    assert watcher.last is not None
    assert (watcher.last.over, watcher.last.ended, watcher.last.never_ran) == (True, 32, 28)
    batch.requests.clear()
    assert Watcher(service=service, job_id="job").look().ended == 32
    assert sum("/tasks?" in request for request in batch.requests) == 4, "once, in four pages"


@pytest.mark.parametrize("known", [0, 3])
def test_no_end_is_lost_of_a_job_that_completes_during_a_look(
    submitted: Callable[[int], list[str]], service: BatchService, batch: Any, known: int
) -> None:
    """The counts were of before; what ran since is of the last look all the same."""
    tasks = submitted(10)
    for task in tasks[:known]:
        batch.complete("job", task)

    def finish(_method: str, path: str, _number: int) -> None:
        if path.startswith("/pools/") and batch.jobs["job"]["state"] == "active":
            for task in tasks[known:8]:
                batch.complete("job", task)
            batch.jobs["job"]["state"] = "completed"

    batch.fault = finish
    look = Watcher(service=service, job_id="job").look()
    assert (look.over, look.succeeded, look.never_ran) == (True, 8, 2)


def test_a_look_counts_what_runs_of_each_stage(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    loaded = workload(
        "name: n\npool: cpu\nstages:\n  sim: {command: a, tasks: 9}\n"
        "  merge: {after: sim, command: b}\n"
    )
    submit(plan(check(loaded, stack), {}, job_id="job"), service)
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)

    def seen() -> dict[str, tuple[int, int | None, int | None]]:
        clock.time += 1
        stages = watcher.look().stages
        return {stage.name: (stage.ended, stage.running, stage.waiting) for stage in stages}

    assert seen() == {"sim": (0, 0, 9), "merge": (0, 0, 1)}, "nothing runs: nothing is asked"
    first, *others = sorted(batch.tasks["job"])
    for task in others[:4]:
        batch.tasks["job"][task]["state"] = "running"
    assert seen() == {"sim": (0, 4, 5), "merge": (0, 0, 1)}
    batch.requests.clear()
    assert seen() == {"sim": (0, 4, 5), "merge": (0, 0, 1)}
    assert len(batch.requests) == 1, "the counts are as they were"
    batch.complete("job", first)
    batch.tasks["job"][others[4]]["state"] = "running"
    assert seen() == {"sim": (1, 5, 3), "merge": (0, 0, 1)}
    batch.page = 3
    batch.complete("job", others[0])
    assert seen() == {"sim": (2, None, None), "merge": (0, None, None)}, "too many to ask for"


def test_waits_grow_while_nothing_happens_and_end_at_the_limit(
    submitted: Callable[[int], list[str]], service: BatchService
) -> None:
    submitted(1)
    clock = Clock()
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    with pytest.raises(UnfinishedError, match="1 of 1 tasks to go after 100 s") as caught:
        watch(watcher, lambda _look: None, timeout_s=100, pause=clock.pause)
    assert caught.value.exit_code == 4
    assert sum(clock.waits) == pytest.approx(100)
    assert clock.waits[0] < clock.waits[5] <= 10


def test_why_nothing_moves_is_told(
    submitted: Callable[[int], list[str]],
    service: BatchService,
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submitted(1)
    pool = {
        "id": "pool-cpu",
        "state": "active",
        "allocationState": "steady",
        "targetDedicatedNodes": 4,
        "resizeErrors": [{"code": "AccountCoreQuotaReached", "message": "The quota is used up"}],
    }
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    look = Watcher(service=service, job_id="job").look()
    assert look.reasons == ("resize: AccountCoreQuotaReached: The quota is used up",)
    monkeypatch.setattr(batch, "_pool", lambda _pool: {"id": "x", "enableAutoScale": True})
    look = Watcher(service=service, job_id="job").look()
    assert look.reasons == (
        "the pool has no nodes yet: its formula decides at its next evaluation",
    )
    batch.pools.clear()
    look = Watcher(service=service, job_id="job").look()
    assert "PoolNotFound" in look.reasons[0], "a pool that cannot be asked does not end watching"


def test_a_job_that_is_over_wants_nothing_of_its_pool(
    submitted: Callable[[int], list[str]],
    service: BatchService,
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = submitted(3)
    monkeypatch.setattr(batch, "_pool", lambda _pool: {"id": "x", "enableAutoScale": True})
    batch.complete("job", ids[0], exit_code=1)
    for state in ("terminating", "completed"):
        batch.jobs["job"]["state"] = state
        look = Watcher(service=service, job_id="job").look()
        assert (look.over, look.reasons) == (state == "completed", ())
    # what waits for one that failed needs no nodes, either
    batch.jobs["job"] |= {"state": "active", "usesTaskDependencies": True}
    for task_id in ids[1:]:
        batch.tasks["job"][task_id]["dependsOn"] = {"taskIds": [ids[0]]}
    watcher = Watcher(service=service, job_id="job")
    watcher.look()
    look = watcher.look()
    assert (look.blocked, look.reasons) == (2, ())


def test_what_the_pool_said_before_tasks_ran_is_no_reason_for_which_none_runs(
    submitted: Callable[[int], list[str]],
    service: BatchService,
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = submitted(3)
    clock = Clock()
    pool = {"id": "x", "enableAutoScale": True}
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    watcher = Watcher(service=service, job_id="job", now=clock.now)
    assert "no nodes yet" in watcher.look().reasons[0]
    clock.time += 1
    pool |= {"targetDedicatedNodes": 2}
    batch.complete("job", ids[0])
    batch.complete("job", ids[1])
    look = watcher.look()
    assert (look.ended, look.running) == (2, 0)
    assert look.reasons == ("nodes are coming: 2 wanted, none is ready",)
    assert len(batch.requests) <= 3 + 1 + 5 + 1, "no more requests than a look may cost"


def test_every_task_of_a_job_that_was_ended_is_counted_and_it_is_told_who_ended_it(
    submitted: Callable[[int], list[str]], service: BatchService, batch: Any
) -> None:
    ids = submitted(5)
    batch.complete("job", ids[0])
    batch.complete("job", ids[1], exit_code=1)
    info = {"terminateReason": "CanceledByUser"}
    for state in ("terminating", "completed"):
        batch.jobs["job"] |= {"state": state, "executionInfo": info}
        look = Watcher(service=service, job_id="job").look()
        told = look_json(look)
        counted = ("unsubmitted", "waiting", "running", "succeeded", "failed", "never_ran")
        assert sum(told[name] for name in counted) == told["total"] == 5
        assert told["end_reason"] == "CanceledByUser"
    assert counts_text(look) == "5: 1 succeeded, 1 failed, 3 never ran"
    assert ended_text(look.end_reason) == "it was ended: CanceledByUser (it was canceled)"
    assert ended_text("AllTasksCompleted") == ended_text("") == ""
    assert ended_text("theirs") == "it was ended: theirs"


def test_a_job_that_is_gone_ends_the_watching(service: BatchService) -> None:
    with pytest.raises(NotFoundError, match="JobNotFound"):
        Watcher(service=service, job_id="gone").look()


def test_a_task_end_is_read_as_the_service_writes_it() -> None:
    end = task_end(
        {
            "id": "t",
            "creationTime": "2026-01-01T00:00:00.1234567Z",
            "stateTransitionTime": "2026-01-01T00:01:00Z",
            "executionInfo": {
                "startTime": "2026-01-01T00:00:10Z",
                "endTime": "2026-01-01T00:00:40.5Z",
                "exitCode": 137,
                "result": "failure",
                "retryCount": 2,
                "requeueCount": 1,
                "failureInfo": {"code": "FailureExitCode", "message": "It failed"},
            },
            "nodeInfo": {"nodeId": "tvmps_1_p"},
        }
    )
    assert (end.succeeded, end.exit_code, end.on_spot) == (False, 137, True)
    assert end.run_s == pytest.approx(30.5)
    assert end.failure == "FailureExitCode: It failed"
    never = task_end(
        {
            "id": "t",
            "stateTransitionTime": "2026-01-01T00:01:00Z",
            "executionInfo": {"result": "failure", "failureInfo": {"code": "TaskEnded"}},
            "nodeInfo": {},
        }
    )
    assert (never.exit_code, never.run_s, never.node_id) == (None, 0, "")


def look(**members: Any) -> Look:
    base: dict[str, Any] = {
        "total": 100, "waiting": 90, "running": 10, "succeeded": 0, "failed": 0,
        "job_state": "active", "pool": None, "first_failure": None, "reasons": (), "over": False,
    }  # fmt: skip
    return Look(**{**base, **members})


def shown(looks: list[tuple[float, Look]], *, terminal: bool) -> str:
    clock = Clock()
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    with Progress(console, "job", "dev", now=clock.now) as progress:
        for moment, item in looks:
            clock.time = moment
            progress.show(item)
    return stream.getvalue()


def test_without_a_terminal_a_line_tells_of_a_change() -> None:
    text = shown(
        [
            (0, look()),
            (1, look(waiting=89, succeeded=1)),
            (2, look(waiting=88, succeeded=2)),
            (31, look(waiting=60, succeeded=30)),
            (32, look(waiting=60, succeeded=29, failed=1)),
            (33, look(waiting=0, running=0, succeeded=99, failed=1, over=True)),
        ],
        terminal=False,
    )
    assert text.splitlines() == [
        "job @dev: 0/100 ended, 10 running, 90 waiting",
        "job @dev: 30/100 ended, 10 running, 60 waiting",
        "job @dev: 30/100 ended, 10 running, 60 waiting, 1 failed",
        "job @dev: 100/100 ended, 1 failed",
    ]


def test_on_a_terminal_the_view_fits_its_width() -> None:
    failure = TaskEnd(
        id="0000004-abc", succeeded=False, exit_code=137, failure="", retries=0, requeues=0,
        node_id="n", created=0, started=0, ended=1,
    )  # fmt: skip
    pool = PoolView(nodes={"running": 16, "idle": 2}, target=27, allocation="resizing", reasons=())
    text = shown(
        [
            (0, look()),
            (10, look(waiting=40, succeeded=49, failed=1, pool=pool, first_failure=failure,
                      reasons=("resize: AccountCoreQuotaReached: " + "long " * 40,))),
        ],
        terminal=True,
    )  # fmt: skip
    assert "50/100" in text
    assert "run 16 idle 2 → target 27" in text
    assert "✘ 4 exit 137 → jobs logs 4" in text
    assert "ETA" in text
    last = text.split("\x1b[2K")[-1]
    assert all(len(line) <= 80 for line in last.splitlines())


def test_no_time_left_is_told_before_thirty_tasks() -> None:
    clock = Clock()
    pace = Pace(now=clock.now)
    pace.add(0)
    clock.time = 10
    pace.add(29)
    assert pace.left_s(100) is None
    clock.time = 20
    pace.add(60)
    left = pace.left_s(60)
    assert left is not None
    assert left[0] < 20 < left[1]
