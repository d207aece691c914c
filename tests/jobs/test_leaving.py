"""Whoever stops watching is told where the job stands and how to come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.errors import (
    EXIT_INTERRUPTED,
    EXIT_UNFINISHED,
    InputError,
    InterruptError,
    LeftError,
    UnfinishedError,
)
from jobs.finishing import Finishing, ended_on_interrupt
from jobs.following import leaving, ways_on
from jobs.loading import LoadedWorkload
from jobs.meter import Meter
from jobs.plan import plan
from jobs.results import ResultTree
from jobs.run_options import RunOptions
from jobs.service import BatchService
from jobs.session import Target
from jobs.stack import Stack
from jobs.submit import submit
from jobs.terminal import Terminal
from jobs.watch import Watcher, watch
from jobs.workflow import run_workload

MakeWorkload = Callable[..., LoadedWorkload]


@pytest.fixture
def watcher(
    workload: MakeWorkload,
    stack: Stack,
    service: BatchService,
    batch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Watcher:
    """Of a job of three tasks, one of which failed, in a pool that gets no nodes."""
    loaded = workload("name: n\npool: cpu\ncommand: a {index}\ntasks: 3\n")
    submit(plan(check(loaded, stack), {}, job_id="job"), service)
    pool = {
        "id": "pool-cpu", "targetDedicatedNodes": 4,
        "resizeErrors": [{"code": "AccountCoreQuotaReached", "message": "used up"}],
    }  # fmt: skip
    monkeypatch.setattr(batch, "_pool", lambda _pool: pool)
    batch.complete("job", min(batch.tasks["job"]), exit_code=3)
    return Watcher(service=service, job_id="job", meter=Meter(pool=stack.pools["cpu"]))


STANDS = (
    "  tasks: 3: 2 waiting, 0 running, 0 succeeded, 1 failed",
    "  why: resize: AccountCoreQuotaReached: used up",
    "  first failure: 0 exit 3",
)
WAYS = {"wait": "python -m jobs wait tree", "cancel": "python -m jobs cancel tree"}


def left(
    watcher: Watcher, kind: type[LeftError], stop: Callable[[], object], path: Path
) -> LeftError:
    with pytest.raises(kind) as caught, leaving(watcher, ResultTree(path / "results" / "tree")):
        stop()
    return caught.value


def test_a_time_limit_leaves_a_summary_the_reasons_and_the_commands(
    watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = left(
        watcher,
        UnfinishedError,
        lambda: watch(watcher, lambda _look: None, timeout_s=0),
        Path(),
    )
    assert error.exit_code == EXIT_UNFINISHED
    assert str(error).splitlines() == [
        "job job has 2 of 3 tasks to go after 0 s; it goes on",
        *STANDS,
        f"  watch it again: {WAYS['wait']}",
        f"  cancel it: {WAYS['cancel']}",
    ]
    assert error.details["commands"] == WAYS
    job = error.details["job"]
    assert (job["job_id"], job["waiting"], job["failed"]) == ("job", 2, 1)
    assert job["reasons"] == ["resize: AccountCoreQuotaReached: used up"]


def test_ctrl_c_leaves_the_same(
    watcher: Watcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def stop() -> None:
        watcher.look()
        raise KeyboardInterrupt

    error = left(watcher, InterruptError, stop, Path())
    assert error.exit_code == EXIT_INTERRUPTED
    first, *lines = str(error).splitlines()
    assert first == "interrupted: job job goes on"
    assert tuple(lines[:3]) == STANDS
    assert error.details["commands"] == WAYS


def test_ctrl_c_before_the_first_look_leaves_the_commands(
    watcher: Watcher, tmp_path: Path
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    error = left(watcher, InterruptError, stop, tmp_path)
    assert "cancel it: python -m jobs cancel tree --out" in str(error)
    assert error.details["job"] is None


def test_ctrl_c_that_ends_the_job_leaves_where_it_stood(
    watcher: Watcher, batch: Any, tmp_path: Path, fault: Any
) -> None:
    def stop() -> None:
        watcher.look()
        batch.fault = lambda *_: fault(status=409, code="JobCompleted")
        asked = Finishing(cancel_on_interrupt=True)
        with ended_on_interrupt(watcher.service, "job", asked, collect="come"):
            raise KeyboardInterrupt

    text = str(left(watcher, InterruptError, stop, tmp_path))
    assert text.startswith("interrupted: job job is being ended (--cancel-on-interrupt)")
    assert STANDS[0] in text
    assert "watch it again" not in text


def test_what_was_not_all_submitted_is_gone_on_with_by_resume(
    watcher: Watcher, batch: Any, tmp_path: Path
) -> None:
    tree = ResultTree(tmp_path / "results" / "tree")
    assert list(ways_on(tree, watcher.look())) == ["wait", "cancel"]
    batch.jobs["job"]["metadata"] = [
        {"name": "jobs.tasks", "value": "9"},
        {"name": "jobs.submission", "value": "unfinished"},
    ]
    batch.age("job")
    unsent = Watcher(service=watcher.service, job_id="job").look()
    assert list(ways_on(tree, unsent)) == ["resume", "cancel"]
    assert list(ways_on(tree, trial=True)) == ["resume", "cancel"]
    batch.jobs["job"]["state"] = "completed"
    over = Watcher(service=watcher.service, job_id="job").look()
    assert list(ways_on(tree, over)) == ["wait"], "it collects and reports"


def test_nobody_detaches_from_limits_that_need_somebody_who_watches(
    tmp_path: Path, batch: Any
) -> None:
    options = RunOptions(
        workload=tmp_path / "none.yaml", target=Target(stack="x", outputs=None), overrides=(),
        out=tmp_path,
        detach=True, timeout_s=3.0,
        finishing=Finishing(
            max_fails=1, max_cost=0.5, cancel_on_interrupt=True, on_finish="true",
            notify="https://example.com/", report=tmp_path / "r.html",
        ),
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        run_workload(options, Terminal(quiet=True))
    assert tuple(finding.where for finding in caught.value.findings) == options.watched
    assert set(options.watched) == {
        "--timeout", "--max-fails", "--max-cost", "--cancel-on-interrupt", "--on-finish",
        "--notify", "--report",
    }  # fmt: skip
    assert "give it to `wait`" in str(caught.value)
    assert not batch.requests
