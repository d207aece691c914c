"""What is told of jobs that Batch has no more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from jobs import Client
from jobs.cli import app
from jobs.errors import CleanedError
from jobs.gone import KeptReport, report_of
from jobs.job import Job
from jobs.looks import TaskEnd
from jobs.report import make_report
from jobs.results import Manifest, ResultTree, find_tree, names_several, tree_of, write_json
from jobs.session import Session
from jobs.stack import Stack

CLEANED = "2026-11-21T10:00:00+00:00"
Make = Callable[..., ResultTree]


def end(number: int, *, succeeded: bool) -> TaskEnd:
    return TaskEnd(
        id=f"{number:08d}", succeeded=succeeded, exit_code=0 if succeeded else 3, failure="",
        created=1.0, started=2.0, ended=5.0, retries=1, requeues=0, node_id="n",
    )  # fmt: skip


@pytest.fixture
def make(
    batch: Any, values: Any, local_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Make:
    """Makes the result tree of a job of stack `dev`, which Batch does not have."""
    monkeypatch.chdir(tmp_path)
    outputs = local_state / "stacks" / "dev" / "outputs.json"
    write_json(outputs, values(batch_endpoint=batch.url))

    def made(
        job_id: str, stack: Stack | None = None, *, cleaned: str = CLEANED, failed: bool = False
    ) -> ResultTree:
        tree = tree_of(job_id, Path("results"))
        manifest = Manifest(
            job_id=job_id, workload="job.yaml", stack="dev", outputs=None, plan="p", tasks=2,
            created=CLEANED, cleaned=cleaned,
        )  # fmt: skip
        tree.write_manifest(manifest)
        if stack is not None:
            ends = [end(0, succeeded=True), end(1, succeeded=not failed)]
            report = make_report(
                job_id=job_id, pool_name="cpu", pool=stack.pools["cpu"], total=2, ends=ends,
            )  # fmt: skip
            write_json(tree.report_file, replace(report, over=True).as_json())
            tree.page_file.write_text('<a href="tasks.csv">All tasks as CSV</a>')
            tree.tasks_file.write_text('task,reason\r\n00000000,"a\nb"\r\n', newline="")
        return tree

    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words])


def test_a_report_is_read_as_it_was_made(stack: Stack) -> None:
    ends = [end(number, succeeded=number > 0) for number in range(4)]
    report = make_report(
        job_id="mc", pool_name="cpu", pool=stack.pools["cpu"], total=4, ends=ends,
        last_lines={"00000000": "no luck"},
    )  # fmt: skip
    written = json.loads(json.dumps({**report.as_json(), "added_later": 1}))
    assert report_of(written) == report
    del written["stages"], written["by_node"], written["slowest"]
    assert report_of(written).stages == (), "as an earlier version wrote it"


@pytest.mark.parametrize(
    "words",
    [
        ("wait",), ("resume",), ("rerun",), ("rerun", "--dry-run"), ("cancel", "mc"),
        ("explain",), ("explain", "0"), ("logs",), ("collect",), ("wait", "--timeout", "1m"),
    ],
)  # fmt: skip
def test_whoever_asks_for_a_cleaned_job_is_told_when_and_what_is_left(
    words: tuple[str, ...], make: Make, stack: Stack, batch: Any
) -> None:
    make("mc", stack)
    done = run(*words)
    assert done.exit_code == 2, done.output
    said = " ".join(done.stderr.split())
    assert "job mc was cleaned on 2026-11-21; its results are in results/mc" in said
    assert "its last report: python -m jobs report mc" in said
    assert not batch.requests
    assert json.loads(run(*words, "--json").stdout)["error"]["kind"] == "CleanedError"


def test_one_cleaned_job_keeps_the_others_from_nothing(
    make: Make, stack: Stack, batch: Any
) -> None:
    make("old", stack, failed=True)
    make("lost", cleaned="")  # as somebody deleted it
    make("new", cleaned="")
    batch.answer("POST", "/jobs", json.dumps({"id": "new", "poolInfo": {"poolId": "p"}}).encode())
    done = run("status", "all")
    assert done.exit_code == 0, done.output
    assert (
        "old: was cleaned on 2026-11-21; its results are in results/old; 1 of 2 tasks succeeded, "
        "1 failed\n"
    ) in done.stdout
    assert "lost: is no longer in Batch: it was deleted there; its results are" in done.stdout
    assert "new (active)" in done.stdout
    rows = {
        row["job_id"]: row for row in json.loads(run("status", "all", "--json").stdout)["jobs"]
    }
    assert [rows[name]["state"] for name in ("old", "lost", "new")] == [
        "cleaned", "deleted", "active"
    ]  # fmt: skip
    assert (rows["old"]["cleaned"], rows["old"]["failed"]) == (CLEANED, 1)
    assert rows["lost"]["cleaned"] is None
    done = run("collect", "old,old", "--json")
    assert (done.exit_code, json.loads(done.stdout)["jobs"][0]["state"]) == (0, "cleaned")
    assert "old was cleaned on 2026-11-21" in done.stderr
    done = run("cancel", "old,old", "--json")
    assert json.loads(done.stdout)["jobs"] == [
        {"job_id": "old", "canceled": False, "state": "cleaned"}
    ]


def test_a_job_that_cannot_be_asked_for_is_told_beside_the_others(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no pulumi
    make("old")
    far = make("far", cleaned="")
    far.write_manifest(replace(far.read_manifest(), stack="gone"))
    done = run("status", "all", "--json")
    assert done.exit_code == 2, done.output
    rows = {row["job_id"]: row for row in json.loads(done.stdout)["jobs"]}
    assert "stack gone" in rows["far"]["error"]
    assert rows["old"]["state"] == "cleaned"
    assert run("status", "far").exit_code == 2


def test_a_cleaned_job_is_reported_on_by_what_is_kept(
    make: Make, stack: Stack, batch: Any
) -> None:
    tree = make("mc", stack, failed=True)
    tree.write_manifest(replace(tree.read_manifest(), stack="gone"))
    os.utime(tree.manifest_file, (1, 1))
    done = run("report", "mc", "--html", "all.html", "--csv", "all.csv")
    assert done.exit_code == 1, done.output
    assert "1 of 2 succeeded, 1 failed" in done.stdout
    assert (
        "job mc was cleaned on 2026-11-21; its results are in results/mc; as last" in done.stderr
    )
    assert "1 of 2 tasks failed:" in done.stderr
    assert "rerun" not in done.stderr
    assert Path("all.csv").read_bytes() == tree.tasks_file.read_bytes()
    assert Path("all.html").read_text() == '<a href="all.csv">All tasks as CSV</a>'
    told = json.loads(run("report", "mc", "--json").stdout)
    assert (told["kept"], told["report"]["failed"]) == (True, 1)
    assert not batch.requests

    tree.report_file.unlink()
    done = run("report", "mc")
    assert done.exit_code == 2
    assert "without a report: none was made before" in " ".join(done.stderr.split())


def test_a_job_that_was_deleted_in_batch_is_reported_on_by_what_is_kept(
    make: Make, stack: Stack
) -> None:
    make("mc", stack, cleaned="")
    os.utime("results/mc/job.json", (1, 1))
    done = run("report", "mc")
    assert done.exit_code == 0, done.output
    assert "2 of 2 succeeded" in done.stdout
    assert "job mc is no longer in Batch: it was deleted there;" in done.stderr
    told = run("costs", "mc", "--json")
    assert json.loads(told.stdout)["rows"][0]["tasks"] == 2
    make("none", cleaned="")
    assert run("report", "none").exit_code == 3, "nothing is known of it"


def test_what_was_seen_last_before_the_end_is_said_to_be_that(make: Make, stack: Stack) -> None:
    tree = make("mc", stack)
    values = json.loads(tree.report_file.read_text())
    write_json(tree.report_file, {**values, "over": False})
    assert "as last reported, before its end:" in run("report", "mc").stderr
    assert not KeptReport.read(tree).at_end


def test_a_damaged_report_is_an_error_with_its_file(make: Make, stack: Stack) -> None:
    tree = make("mc", stack)
    values = json.loads(tree.report_file.read_text())
    del values["vm_size"]
    write_json(tree.report_file, values)
    done = run("report", "mc")
    assert done.exit_code == 2
    assert "results/mc/report.json is damaged" in done.stderr


def test_a_clean_is_noted_and_changes_nothing_of_what_was_submitted_last(
    make: Make, stack: Stack, session: Session
) -> None:
    tree = make("first", stack, cleaned="")
    os.utime(tree.manifest_file, (1, 1))
    make("second", cleaned="")
    job = Job(tree=replace(tree, stack="elsewhere"), session=session)
    job.clean(job.leftovers())
    noted = tree.read_manifest()
    assert noted.cleaned
    assert noted.stack == "dev", "as it was submitted"
    assert find_tree("last", Path("results")).root.name == "second"
    assert KeptReport.read(tree).at_end
    with pytest.raises(CleanedError, match="first was cleaned on"):
        job.collect()
    with pytest.raises(CleanedError):
        job.status()
    assert job.report().report.succeeded == 2
    assert Client(stack="dev").costs("first").stale == ()


@pytest.mark.parametrize(
    ("jobs", "several"),
    [
        ("last", False), ("mc", False), ("1", False), ("all", True), ("1-3", True),
        ("1-9:2", True), ("1,2", True), ("mc,", True), ("nightly:job-1", False), ("7-7", False),
    ],
)  # fmt: skip
def test_the_shape_of_an_answer_goes_by_what_was_asked_for(
    jobs: str, several: bool, make: Make
) -> None:
    make("7-7")  # as it could be called before numbers meant jobs
    assert names_several(jobs, Path("results")) is several


@pytest.mark.parametrize("verb", ["status", "collect", "clean"])
def test_a_range_with_one_job_is_told_as_several(
    verb: str, make: Make, blobs: Any, batch: Any, values: Any, local_state: Path
) -> None:
    make("mc")
    made = values(batch_endpoint=batch.url, blob_endpoint=blobs.endpoint)
    write_json(local_state / "stacks" / "dev" / "outputs.json", made)
    for asked in ("all", "1-5", "mc,mc"):
        told = json.loads(run(verb, asked, "--json").stdout)
        assert [row["job_id"] for row in told["jobs"]] == ["mc"]
