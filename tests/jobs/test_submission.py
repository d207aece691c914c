"""What a result tree says of its jobs: never less than Batch has, and never another job.

Each submission here meets a fault on purpose; what the tree holds afterwards decides on whether
`resume`, `rerun` and `cancel` find the job.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import Checked, check
from jobs.errors import InputError, ServiceError, TakenError, UnavailableError
from jobs.loading import LoadedWorkload
from jobs.plan import JobPlan, plan
from jobs.rerun import next_job_id
from jobs.results import ResultTree, tree_of
from jobs.run_options import RunOptions
from jobs.service import RetryPolicy
from jobs.session import Session, Target
from jobs.stack import Stack, parse_stack
from jobs.submission import forget_unmade, send
from jobs.submit import Submitted, count_there
from jobs.terminal import Terminal

QUOTA = "ActiveJobAndScheduleQuotaReached"
REFUSED = {
    "status": "ClientError",
    "error": {"code": "InvalidPropertyValue", "message": {"value": "no"}},
}


class Sender:
    """Submits jobs of one workload into one result tree, as `run` and `rerun` do."""

    def __init__(self, checked: Checked, session: Session, out: Path) -> None:
        self.checked = checked
        self.session = session
        self.tree = tree_of("job", out)
        self.options = RunOptions(
            workload=checked.workload.path,
            target=Target(stack="s", outputs=None),
            overrides=(),
            out=out,
        )

    def job(self, only: str | None = None, job_id: str | None = None) -> JobPlan:
        if job_id is None:
            job_id = "job" if only is None else next_job_id(self.tree.read_manifest())
        return plan(self.checked, {}, job_id=job_id, only=only)

    def send(self, only: str | None = None, *, resume: bool = False, **changes: Any) -> Submitted:
        job = changes.pop("job", None)
        if job is None:
            job_id = None
            if resume:
                noted = self.tree.read_manifest()
                job_id = noted.current
                only = noted.attempts[-1].tasks if noted.attempts else None
            job = self.job(only, job_id)
        return send(
            job, self.session, self.tree, replace(self.options, resume=resume),
            Terminal(quiet=True), **changes,
        )  # fmt: skip

    def leave(self, text: str) -> Path:
        """What `collect` brings home of task 1."""
        (task_id,) = (one.id for one in self.job().tasks() if one.index == 1)
        path = self.tree.logs / task_id / "stderr.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def sender(
    workload: Callable[..., LoadedWorkload], stack: Stack, batch: Any, values: Any, tmp_path: Path
) -> Sender:
    session = Session(
        stack=parse_stack(values(batch_endpoint=batch.url), where="test"),
        policy=RetryPolicy(attempts=2, first_wait_s=0.01, longest_wait_s=0.02),
    )
    checked = check(workload("name: n\npool: cpu\ncommand: a {index}\ntasks: 2\n"), stack)
    return Sender(checked, session, tmp_path / "results")


def test_an_attempt_that_could_not_be_withdrawn_is_not_forgotten(
    sender: Sender, batch: Any, fault: Any
) -> None:
    """`resume` and `cancel` reach it, and no later rerun takes its id."""
    sender.send()
    batch.item_fault = lambda task_id: REFUSED if task_id.startswith("0000001") else None
    batch.fault = lambda method, _path, _number: fault() if method == "DELETE" else None
    with pytest.raises(ServiceError, match="InvalidPropertyValue") as refused:
        sender.send("0-1")
    assert "job job-r2 may be partly submitted; finish" in str(refused.value)
    assert "python -m jobs cancel job" in str(refused.value)
    assert "job-r2" in batch.jobs
    assert sender.tree.read_manifest().current == "job-r2"
    batch.fault = lambda *_: None
    batch.item_fault = lambda _task_id: None
    done = sender.send(resume=True)
    assert (done.added, done.present) == (1, 1)


def test_an_attempt_that_was_withdrawn_leaves_the_tree_as_it_was(
    sender: Sender, batch: Any
) -> None:
    sender.send()
    log = sender.leave("first")
    before = sender.tree.manifest_file.read_bytes()
    batch.item_fault = lambda _task_id: REFUSED
    with pytest.raises(ServiceError, match="InvalidPropertyValue"):
        sender.send("1")
    assert "job-r2" not in batch.jobs
    assert sender.tree.manifest_file.read_bytes() == before
    assert log.read_text() == "first"
    assert not (sender.tree.root / "attempts").exists()


def test_nothing_is_set_aside_for_a_rerun_that_is_refused(
    sender: Sender, batch: Any, fault: Any
) -> None:
    """What a task left stays where it is until Batch has taken the job; the next try is one."""
    sender.send()
    log = sender.leave("first")
    refusal = fault(status=409, code=QUOTA)
    batch.fault = lambda method, path, _number: (
        refusal if method == "POST" and path == "/jobs" else None
    )
    with pytest.raises(ServiceError, match=QUOTA):
        sender.send("1")
    assert log.read_text() == "first"
    assert not sender.tree.read_manifest().attempts
    batch.fault = lambda *_: None
    sender.send("1")
    aside = sender.tree.attempt(1) / log.relative_to(sender.tree.root)
    assert (aside.read_text(), log.exists()) == ("first", False)


def test_what_was_set_aside_before_is_replaced_by_the_same_collected_anew(
    sender: Sender,
) -> None:
    """A crash may have left half of it there."""
    sender.send()
    log = sender.leave("whole")
    aside = sender.tree.attempt(1) / log.relative_to(sender.tree.root)
    aside.parent.mkdir(parents=True)
    aside.with_name("half").touch()
    sender.send("1")
    assert aside.read_text() == "whole"
    assert not aside.with_name("half").exists()


def test_what_cannot_be_set_aside_is_told_and_no_job_is_left(sender: Sender, batch: Any) -> None:
    sender.send()
    log = sender.leave("first")
    (sender.tree.root / "attempts").touch()
    with pytest.raises(InputError, match="what tasks left cannot be set aside"):
        sender.send("1")
    assert log.read_text() == "first"
    assert "job-r2" not in batch.jobs
    assert not sender.tree.read_manifest().attempts


def test_a_resumed_attempt_sets_nothing_of_its_own_aside(
    sender: Sender, batch: Any, fault: Any
) -> None:
    sender.send()
    sender.leave("first")
    batch.fault = lambda _method, path, _number: fault() if "collection" in path else None
    with pytest.raises(UnavailableError, match="partly submitted"):
        sender.send("1")
    log = sender.leave("second")
    batch.fault = lambda *_: None
    assert sender.send(resume=True).added == 1
    aside = sender.tree.attempt(1) / log.relative_to(sender.tree.root)
    assert (aside.read_text(), log.read_text()) == ("first", "second")


def test_an_attempt_that_never_reached_batch_sets_aside_when_it_is_resumed(
    sender: Sender, batch: Any, fault: Any
) -> None:
    sender.send()
    log = sender.leave("first")
    batch.fault = lambda method, _path, _number: fault() if method == "POST" else None
    with pytest.raises(UnavailableError):
        sender.send("1")
    assert log.read_text() == "first"
    batch.fault = lambda *_: None
    assert sender.send(resume=True).added == 1
    assert not log.exists()


def test_an_attempt_that_never_reached_batch_is_in_no_ones_way(
    sender: Sender, batch: Any, fault: Any
) -> None:
    """Its workload may be another one by now, so that it cannot be resumed either."""
    sender.send()
    before = sender.tree.manifest_file.read_bytes()
    forget_unmade(sender.tree, sender.session.service)
    batch.fault = lambda method, _path, _number: fault() if method == "POST" else None
    with pytest.raises(UnavailableError):
        sender.send("1")
    assert sender.tree.read_manifest().current == "job-r2"
    batch.fault = lambda *_: None
    forget_unmade(sender.tree, sender.session.service)
    assert sender.tree.manifest_file.read_bytes() == before
    assert sender.send("0").added == 1


@pytest.mark.parametrize("lost", [False, True])
def test_an_attempt_that_reached_batch_is_never_forgotten(
    sender: Sender, batch: Any, fault: Any, lost: bool
) -> None:
    sender.send()
    batch.fault = lambda method, _path, _number: (
        fault(drop=True, after_work=True) if lost and method == "POST" else None
    )
    if lost:
        with pytest.raises(UnavailableError):
            sender.send("1")
    else:
        sender.send("1")
    batch.fault = lambda *_: None
    forget_unmade(sender.tree, sender.session.service)
    assert sender.tree.read_manifest().current == "job-r2"
    if not lost:
        del batch.jobs["job-r2"]  # as `clean` does
        forget_unmade(sender.tree, sender.session.service)
        assert sender.tree.read_manifest().current == "job-r2"


@pytest.mark.parametrize("down", [False, True])
def test_a_job_that_is_there_is_not_replaced_in_its_tree(
    sender: Sender, batch: Any, fault: Any, workload: Any, stack: Stack, down: bool
) -> None:
    sender.send()
    sender.send("1")
    kept = {path: path.read_bytes() for path in sender.tree.root.iterdir() if path.is_file()}
    batch.requests.clear()
    if down:
        batch.fault = lambda *_: fault()
    other = check(workload("name: n\npool: cpu\ncommand: other\ntasks: 5\n"), stack)
    with pytest.raises(TakenError, match=r"job job was submitted from here already.*resume job"):
        sender.send(job=plan(other, {}, job_id="job"))
    assert {path: path.read_bytes() for path in kept} == kept
    assert not batch.requests


def test_a_job_that_is_being_submitted_is_left_to_whom_submits_it(
    sender: Sender, batch: Any
) -> None:
    """Of two that begin at once the second must not take back what the first has noted."""
    sender.tree.root.mkdir(parents=True)
    other = os.open(sender.tree.root, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="job job is being submitted by another command"):
        sender.send()
    os.close(other)
    assert not batch.requests
    assert sender.send().added == 2


def test_who_resumes_what_is_whole_is_told_that_nothing_is_missing(
    sender: Sender, capsys: pytest.CaptureFixture[str]
) -> None:
    sender.send()
    job = sender.job()
    options = replace(sender.options, resume=True)
    send(job, sender.session, sender.tree, options, Terminal())
    assert "nothing is missing of job job (2 were there)" in capsys.readouterr().err


def test_where_a_directory_cannot_be_locked_jobs_are_submitted_all_the_same(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems lock files that are open for writing, which a directory never is."""

    def refuses(_handle: int, _how: int) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("jobs.submission.fcntl.flock", refuses)
    assert sender.send().added == 2


def test_a_job_that_was_deleted_is_not_run_again_by_resuming_it(
    sender: Sender, batch: Any
) -> None:
    sender.send()
    before = sender.tree.manifest_file.read_bytes()
    del batch.jobs["job"]  # as `clean` does
    with pytest.raises(InputError, match=r"was deleted since.*python -m jobs\.run") as refused:
        sender.send(resume=True)
    assert "all its tasks again" in str(refused.value)
    with pytest.raises(InputError, match="was deleted since"):
        count_there(sender.job(), sender.session.service, existed=True)
    assert not batch.jobs
    assert sender.tree.manifest_file.read_bytes() == before


def test_neither_is_one_that_was_deleted_after_its_trial(sender: Sender, batch: Any) -> None:
    sender.send(trial=(1,))
    del batch.jobs["job"]
    with pytest.raises(InputError, match="was deleted since"):
        sender.send(resume=True)
    assert not batch.jobs


def test_a_job_that_never_reached_batch_is_made_when_it_is_resumed(
    sender: Sender, batch: Any, fault: Any
) -> None:
    batch.fault = lambda method, _path, _number: fault() if method == "POST" else None
    with pytest.raises(UnavailableError):
        sender.send()
    created = sender.tree.read_manifest().created
    batch.fault = lambda *_: None
    assert sender.send(resume=True).added == 2
    assert sender.tree.read_manifest().created == created
    assert sender.send(resume=True) == Submitted(added=0, present=2)


def test_a_job_that_is_refused_when_it_is_resumed_can_be_resumed_once_more(
    sender: Sender, batch: Any, fault: Any
) -> None:
    batch.fault = lambda method, _path, _number: fault() if method == "POST" else None
    with pytest.raises(UnavailableError):
        sender.send()
    batch.fault = lambda *_: None
    batch.item_fault = lambda _task_id: REFUSED
    with pytest.raises(ServiceError, match="InvalidPropertyValue"):
        sender.send(resume=True)
    assert not batch.jobs
    batch.item_fault = lambda _task_id: None
    assert sender.send(resume=True).added == 2


def test_a_tree_of_before_that_was_noted_counts_as_one_that_batch_had(
    sender: Sender, batch: Any
) -> None:
    sender.send()
    text = sender.tree.manifest_file.read_text()
    assert '"made": true' in text
    sender.tree.manifest_file.write_text(text.replace(',\n  "made": true', ""))
    del batch.jobs["job"]
    with pytest.raises(InputError, match="was deleted since"):
        sender.send(resume=True)


def test_a_note_that_cannot_be_written_leaves_no_half_of_it(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_tree: ResultTree, _manifest: object) -> None:
        raise InputError("no room")

    monkeypatch.setattr(ResultTree, "write_manifest", full)
    with pytest.raises(InputError, match="no room"):
        sender.send()
    assert not sender.tree.root.exists()
