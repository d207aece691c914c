"""Jobs that nobody submitted: found, given a result tree, counted without their manager."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import InputError, NotFoundError, ServiceError
from jobs.job_schedules import JobSchedule, open_schedule
from jobs.logs import LogReader
from jobs.managed import MANAGER_ID
from jobs.reasons import differing
from jobs.results import tree_of
from jobs.schedule_jobs import (
    Record,
    adopt,
    find_tree,
    find_trees,
    forget_record,
    known_records,
    read_record,
    write_record,
)
from jobs.selection import parse_selection
from jobs.service import BatchService
from jobs.session import Session, Target
from jobs.stack import parse_stack
from jobs.watch import Watcher

JOB = "nightly:job-3"
PLAN = "d1" * 32
PARTS = {"tasks": "t1", "command": "c1"}


@pytest.fixture
def outputs(batch: Any, values: Any, tmp_path: Path) -> Path:
    """The outputs of a stack whose account is the fake."""
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(values(batch_endpoint=batch.url)))
    return path


@pytest.fixture
def root(outputs: Path, tmp_path: Path) -> Path:
    """A place of results from which `nightly` was submitted."""
    root = tmp_path / "results"
    target = Target(stack=None, outputs=outputs)
    path = tmp_path / "job.yaml"
    write_record("nightly", path, ("x=1",), target, root, plan=PLAN, parts=PARTS)
    return root


@pytest.fixture
def account(batch: Any) -> Any:
    """An account with a schedule and its third job, two of whose three tasks are in."""
    metadata = {"jobs.workload": "nightly", "jobs.plan": PLAN, "jobs.tasks": "3",
                "jobs.stages": "a=2 b=1", "jobs.submission": "unfinished"}  # fmt: skip
    batch.jobs[JOB] = {
        "id": JOB,
        "state": "active",
        "creationTime": "2026-11-21T02:00:00.1234567Z",
        "metadata": [{"name": name, "value": value} for name, value in metadata.items()],
        "jobManagerTask": {"id": MANAGER_ID},
    }
    batch.tasks[JOB] = {}
    for task_id in (MANAGER_ID, "100000000", "100000001"):
        batch._add(JOB, {"id": task_id, "commandLine": "x"})
    batch.schedules["nightly"] = {
        "id": "nightly",
        "state": "active",
        "executionInfo": {"recentJob": {"id": JOB}, "nextRunTime": "2026-11-22T02:00:00Z"},
        "metadata": [{"name": "jobs.workload", "value": "nightly"}],
        "creationTime": "2026-11-20T02:00:00Z",
        "schedule": {"recurrenceInterval": "P1D"},
    }
    return batch


@pytest.mark.parametrize("named", [JOB, "nightly.job-3", "nightly"])
def test_a_job_that_batch_made_gets_a_result_tree_when_it_is_named(
    account: Any, root: Path, named: str
) -> None:
    del account
    tree = find_tree(named, root)
    assert tree.root == root / "nightly.job-3"
    manifest = tree.read_manifest()
    assert (manifest.job_id, manifest.plan, manifest.tasks) == (JOB, PLAN, 3)
    assert manifest.stages == {"a": 2, "b": 1}
    assert manifest.overrides == ("x=1",)
    assert Path(manifest.workload).name == "job.yaml"
    assert manifest.created == "2026-11-21T02:00:00+00:00"
    assert differing(tree, PARTS) == ()


def test_a_job_from_before_an_update_is_what_it_was_made_from(
    account: Any, root: Path, outputs: Path, tmp_path: Path
) -> None:
    target, later = Target(stack=None, outputs=outputs), "d2" * 32
    path, parts = tmp_path / "other.yaml", {"tasks": "t2", "command": "c1"}
    write_record("nightly", path, ("x=2",), target, root, plan=later, parts=parts)
    metadata = [
        item | ({"value": later} if item["name"] == "jobs.plan" else {})
        for item in account.jobs[JOB]["metadata"]
    ]
    account.jobs["nightly:job-4"] = account.jobs[JOB] | {
        "id": "nightly:job-4", "metadata": metadata,
    }  # fmt: skip
    before, after = (find_tree(job, root) for job in (JOB, "nightly:job-4"))
    assert before.read_manifest().overrides == ("x=1",)
    assert Path(before.read_manifest().workload).name == "job.yaml"
    assert differing(before, PARTS) == ()
    assert after.read_manifest().overrides == ("x=2",)
    assert differing(after, PARTS) == ("tasks changed",)


@pytest.mark.parametrize("plan", ["e" * 64, "../../../x", ""])
def test_of_a_plan_that_was_not_noted_here_nothing_is_claimed(
    account: Any, root: Path, plan: str
) -> None:
    account.jobs[JOB]["metadata"][1]["value"] = plan
    tree = find_tree(JOB, root)
    assert tree.read_manifest().plan == plan
    assert differing(tree, PARTS) is None


def test_a_note_without_plans_is_read_too(account: Any, root: Path) -> None:
    place = root / ".schedules" / "nightly" / "schedule.json"
    values = json.loads(place.read_text())
    forget_record("nightly", root)
    place.parent.mkdir()
    place.write_text(json.dumps({k: v for k, v in values.items() if k not in {"plan", "parts"}}))
    tree = find_tree(JOB, root)
    assert tree.read_manifest().overrides == ("x=1",)
    assert differing(tree, PARTS) is None
    assert account.jobs


def test_one_that_has_a_tree_is_asked_for_no_more(account: Any, root: Path) -> None:
    find_tree(JOB, root)
    account.requests.clear()
    find_tree(JOB, root)
    find_trees(f"{JOB},nightly.job-3", root)
    assert account.requests == []


def test_several_are_found_at_once(account: Any, root: Path) -> None:
    account.jobs["nightly:job-2"] = account.jobs[JOB] | {"id": "nightly:job-2"}
    trees = find_trees(f"nightly:job-2,{JOB}", root)
    assert [tree.root.name for tree in trees] == ["nightly.job-2", "nightly.job-3"]


def test_a_job_that_is_not_there_leaves_nothing(account: Any, root: Path) -> None:
    del account
    with pytest.raises(NotFoundError, match="schedule nightly has no job nightly:job-9"):
        find_tree("nightly:job-9", root)
    assert not tree_of("nightly:job-9", root).root.exists()


def test_a_schedule_of_somebody_else_is_not_guessed_at(account: Any, root: Path) -> None:
    with pytest.raises(InputError, match="was not submitted from here"):
        find_tree("weekly:job-1", root)
    with pytest.raises(InputError, match="name its stack"):
        open_schedule("weekly", None, root)
    assert account.requests == []


def test_a_job_that_no_workload_file_made_is_refused(
    account: Any, root: Path, service: BatchService
) -> None:
    account.jobs[JOB]["metadata"] = []
    record = read_record("nightly", root)
    assert record is not None
    with pytest.raises(InputError, match="was not made from a workload file"):
        adopt(record, JOB, service, root)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"version": 2}',
        '{"version": 1}',
        '{"version": 1, "overrides": [], "x": 1}',
        '{"version": 1, "overrides": [], "parts": ["x"]}',
    ],
)
def test_a_damaged_note_is_an_error_with_its_place(root: Path, content: str) -> None:
    place = root / ".schedules" / "nightly" / "schedule.json"
    place.write_text(content)
    with pytest.raises(InputError, match=r"schedule\.json"):
        read_record("nightly", root)


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "", "a" * 65, "n:job-1"])
def test_no_note_is_looked_for_outside_its_directory(root: Path, name: str) -> None:
    assert read_record(name, root) is None


def test_notes_are_kept_and_forgotten(root: Path, outputs: Path) -> None:
    record = read_record("nightly", root)
    assert isinstance(record, Record)
    assert record.target == Target(stack=None, outputs=outputs)
    assert list(known_records(root)) == ["nightly"]
    assert read_record("nightly", root, PLAN) == record
    forget_record("nightly", root)
    forget_record("nightly", root)
    assert list(known_records(root)) == []
    assert not (root / ".schedules" / "nightly").exists()


def test_a_schedule_tells_its_next_job_unless_it_is_paused(
    account: Any, root: Path, outputs: Path
) -> None:
    schedule = open_schedule("nightly", None, root)
    row = schedule.status()
    assert (row.every, row.last_job) == ("1d00h", JOB)
    assert row.next_run == "2026-11-22T02:00:00Z"
    account.schedules["nightly"]["state"] = "disabled"
    assert schedule.status().next_run == ""
    account.schedules["nightly"]["metadata"] = []
    with pytest.raises(InputError, match="was not submitted from a workload file"):
        schedule.status()
    stack = parse_stack(json.loads(outputs.read_text()), where="test")
    other = JobSchedule(id="other", session=Session(stack=stack), out=root)
    with pytest.raises(ServiceError, match="there is no schedule other on stack test"):
        other.status()


def test_the_manager_task_is_counted_nowhere(account: Any, service: BatchService) -> None:
    watcher = Watcher(service=service, job_id=JOB)
    look = watcher.look()
    assert (look.total, look.waiting, look.running, look.ended) == (3, 2, 0, 0)
    account.complete(JOB, MANAGER_ID)
    account.complete(JOB, "100000000")
    look = watcher.look()
    assert (look.waiting, look.succeeded, look.failed) == (1, 1, 0)
    assert not look.over
    account._add(JOB, {"id": "110000000", "commandLine": "x"})
    for task_id in ("100000001", "110000000"):
        account.complete(JOB, task_id)
    look = watcher.look()
    assert (look.succeeded, look.failed, look.over) == (3, 0, True)
    assert MANAGER_ID not in watcher.ends


def test_a_manager_that_is_over_is_asked_for_no_more(account: Any, service: BatchService) -> None:
    watcher = Watcher(service=service, job_id=JOB)
    account.complete(JOB, MANAGER_ID)
    watcher.look()
    account.requests.clear()
    watcher.look()
    assert not [line for line in account.requests if line.endswith(MANAGER_ID)]


def test_a_manager_that_failed_is_a_reason_and_no_failed_task(
    account: Any, service: BatchService
) -> None:
    account.complete(JOB, MANAGER_ID, exit_code=1)
    for task_id in ("100000000", "100000001"):
        account.complete(JOB, task_id)
    account.jobs[JOB]["state"] = "completed"
    look = Watcher(service=service, job_id=JOB).look()
    assert (look.total, look.succeeded, look.failed, look.over) == (3, 2, 0, True)
    assert look.reasons[-1] == "its job manager task, which adds its tasks, failed"


def test_all_logs_are_those_of_the_tasks(
    account: Any, service: BatchService, tmp_path: Path
) -> None:
    del account
    container: Any = None
    reader = LogReader(
        service=service, job_id=JOB, tree=tree_of(JOB, tmp_path), container=container
    )
    found = [task.id for task in reader.tasks(parse_selection("all"))]
    assert found == ["100000000", "100000001"]
