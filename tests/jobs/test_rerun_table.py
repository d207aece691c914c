"""A rerun and the table that its tasks are of, which is edited before, meanwhile and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.checking import check
from jobs.cli import app
from jobs.errors import UnavailableError
from jobs.going_on import options_again
from jobs.job import open_job
from jobs.loading import LoadedWorkload
from jobs.plan import plan
from jobs.results import ResultTree, tree_of, write_json
from jobs.run_options import RunOptions
from jobs.service import RetryPolicy
from jobs.session import Session, Target
from jobs.submission import send
from jobs.terminal import Terminal

TABLE = "name: n\npool: cpu\ncommand: a {x}\ntasks: {csv: t.csv}\n"


@pytest.fixture
def failed(
    workload: Callable[..., LoadedWorkload],
    batch: Any,
    values: Any,
    local_state: Path,
    tmp_path: Path,
) -> ResultTree:
    """A job of a table whose second task has failed."""
    write_json(local_state / "stacks/s/outputs.json", values(batch_endpoint=batch.url))
    target = Target(stack="s", outputs=None)
    checked = check(workload(TABLE, t_DOT_csv="x\n1\n2\n3\n"), target.load())
    tree = tree_of("job", tmp_path / "results")
    options = RunOptions(
        workload=checked.workload.path, target=target, overrides=(), out=tree.root.parent
    )
    session = Session(stack=target.load())
    send(plan(checked, {}, job_id="job"), session, tree, options, Terminal(quiet=True))
    for task_id in batch.tasks["job"]:
        batch.complete("job", task_id, exit_code=int(task_id.startswith("0000001")))
    batch.jobs["job"]["state"] = "completed"
    return tree


def rows_sent(batch: Any, job_id: str) -> list[str]:
    lines = [task["commandLine"] for task in batch.tasks[job_id].values()]
    return sorted(line.split("a ")[-1].strip("'\"") for line in lines)


def test_what_is_sent_is_what_was_held_against_what_ran(
    failed: ResultTree, batch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is edited once it is known that it has the same tasks as before."""

    def edited(*arguments: Any) -> RunOptions:
        (tmp_path / "workload/t.csv").write_text("x\n1\n9\n3\n")
        return options_again(*arguments)

    monkeypatch.setattr("jobs.cli.rerunning.options_again", edited)
    words = ["rerun", "job", "--detach", "--out", str(failed.root.parent)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert rows_sent(batch, "job-r2") == ["2"]


def test_a_rerun_is_of_the_table_as_it_is_by_then(
    failed: ResultTree, batch: Any, tmp_path: Path
) -> None:
    """However long a program has the job, and whatever it asked of it before."""
    job = open_job("job", failed.root.parent)
    assert job.checked.count == 3
    (tmp_path / "workload/t.csv").write_text("x\n1\nmended\n3\n")
    assert job.rerun() is not None
    assert rows_sent(batch, "job-r2") == ["mended"]


def test_a_rerun_that_never_reached_batch_is_done_anew(
    failed: ResultTree, batch: Any, fault: Any, tmp_path: Path
) -> None:
    """With another workload than it was begun with, so that it could not be resumed."""
    job = open_job("job", failed.root.parent)
    job.session.policy = RetryPolicy(attempts=1)
    batch.fault = lambda method, _path, _number: fault() if method == "POST" else None
    with pytest.raises(UnavailableError):
        job.rerun()
    assert job.manifest.current == "job-r2"
    batch.fault = lambda *_: None
    (tmp_path / "workload/t.csv").write_text("x\n1\nmended\n3\n")
    assert job.rerun() is not None
    assert job.manifest.job_ids == ("job", "job-r2")
    assert rows_sent(batch, "job-r2") == ["mended"]


def test_an_id_that_is_taken_here_is_refused_before_anything_is_built(
    failed: ResultTree, batch: Any, tmp_path: Path
) -> None:
    batch.requests.clear()
    (tmp_path / "workload/job.yaml").write_text(
        TABLE + "program: {build: {command: touch built, output: built, sources: [t.csv]}}\n"
    )
    words = ["run", str(tmp_path / "workload/job.yaml"), "--stack", "s", "--job-id", "job"]
    done = CliRunner().invoke(app, [*words, "--detach", "--out", str(failed.root.parent)])
    assert done.exit_code == 2, done.output
    assert "was submitted from here already" in " ".join(done.output.split())
    assert not (tmp_path / "workload/built").exists()
    assert not batch.requests
