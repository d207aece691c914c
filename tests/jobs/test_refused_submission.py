"""A submission that made no job leaves nothing that looks like one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.checking import check
from jobs.errors import InputError, ServiceError
from jobs.loading import LoadedWorkload
from jobs.plan import plan
from jobs.results import tree_of
from jobs.row_digests import rows_file
from jobs.run_options import RunOptions
from jobs.session import Session, Target
from jobs.stack import Stack
from jobs.submission import send
from jobs.terminal import Terminal


@pytest.mark.slow
def test_a_refused_submission_leaves_no_tree_and_the_right_remedy(directory: Any) -> None:
    directory.write("name: a\npool: cpu\ncommand: echo a\n")
    (directory.path / "other.yaml").write_text("name: a\npool: cpu\ncommand: echo b\n")
    directory.jobs("submit", "job.yaml", "--job-id", "same", "--out", "ours")
    kept = (directory.path / "ours/same/job.json").read_bytes()
    _, err = directory.jobs("submit", "other.yaml", "--job-id", "same", "--out", "theirs", code=2)
    assert "of another workload: choose another id" in err
    assert "resume" not in err
    assert not list(directory.path.glob("theirs/*"))
    _, err = directory.jobs("submit", "other.yaml", "--job-id", "same", "--out", "ours", code=2)
    assert (directory.path / "ours/same/job.json").read_bytes() == kept
    _, err = directory.jobs("submit", "job.yaml", "--job-id", "same", "--out", "ours", code=2)
    assert "python -m jobs resume same" in err
    directory.jobs("wait", "last", "--out", "ours")


@pytest.mark.parametrize("path", ["/jobs", "/addtaskcollection"])
def test_what_the_service_refuses_leaves_no_tree(
    workload: Callable[..., LoadedWorkload],
    stack: Stack,
    session: Session,
    batch: Any,
    fault: Any,
    tmp_path: Path,
    path: str,
) -> None:
    loaded = workload("name: n\npool: cpu\ncommand: a\n")
    job = plan(check(loaded, stack), {}, job_id="job")
    target = Target(stack="s", outputs=None)
    options = RunOptions(workload=loaded.path, target=target, overrides=(), out=tmp_path)
    refusal = fault(status=409, code="ActiveJobAndScheduleQuotaReached")
    batch.fault = lambda method, asked, _number: (
        refusal if method == "POST" and asked.endswith(path) else None
    )
    tree = tree_of("job", tmp_path / "results")
    with pytest.raises(ServiceError):
        send(job, session, tree, options, Terminal(quiet=True))
    assert not tree.root.exists()


def test_a_job_that_is_in_does_not_fail_for_a_note_that_cannot_be_written(
    workload: Callable[..., LoadedWorkload],
    stack: Stack,
    session: Session,
    batch: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded = workload("name: n\npool: cpu\ncommand: a\n")
    job = plan(check(loaded, stack), {}, job_id="job")
    target = Target(stack="s", outputs=None)
    options = RunOptions(workload=loaded.path, target=target, overrides=(), out=tmp_path)
    tree = tree_of("job", tmp_path / "results")
    rows_file(tree).mkdir(parents=True)
    assert send(job, session, tree, options, Terminal()).added == 1
    assert batch.jobs["job"]["onAllTasksComplete"] == "terminatejob"
    said = capsys.readouterr().err
    assert "rows.bin cannot be written" in " ".join(said.split())


@pytest.mark.parametrize("when", ["at once", "just before"])
def test_of_two_reruns_one_is_told_of_the_other(
    workload: Callable[..., LoadedWorkload],
    stack: Stack,
    session: Session,
    batch: Any,
    tmp_path: Path,
    when: str,
) -> None:
    loaded = workload("name: n\npool: cpu\ncommand: a {index}\ntasks: 2\n")
    checked = check(loaded, stack)
    target = Target(stack="s", outputs=None)
    options = RunOptions(workload=loaded.path, target=target, overrides=(), out=tmp_path)
    tree = tree_of("job", tmp_path / "results")
    send(plan(checked, {}, job_id="job"), session, tree, options, Terminal(quiet=True))
    again = plan(checked, {}, job_id="job-r2", only="1")
    noted = tree.manifest_file.read_bytes()
    if when == "at once":
        other = os.open(tree.root, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
    else:
        send(
            plan(checked, {}, job_id="job-r2", only="0"), session, tree, options,
            Terminal(quiet=True),
        )  # fmt: skip
        noted = tree.manifest_file.read_bytes()
    with pytest.raises(
        InputError, match="job job is being submitted by another command, or has just"
    ):
        send(again, session, tree, options, Terminal(quiet=True))
    assert tree.manifest_file.read_bytes() == noted
    if when == "at once":
        assert "job-r2" not in batch.jobs
        os.close(other)
        assert send(again, session, tree, options, Terminal(quiet=True)).added == 1
