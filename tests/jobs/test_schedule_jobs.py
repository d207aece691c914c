"""Jobs that nobody submitted: found, given a result tree, counted without their manager."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import InputError, NotFoundError, ServiceError, StackError
from jobs.explain import explain_job
from jobs.job_schedules import JobSchedule, open_schedule
from jobs.logs import LogReader
from jobs.managed import MANAGER_ID
from jobs.reasons import differing, write_parts
from jobs.results import Manifest, tree_of
from jobs.row_digests import rows_file
from jobs.schedule_jobs import adopt, find_tree, find_trees, require_own_place
from jobs.schedule_notes import (
    Note,
    forget_notes,
    known_schedules,
    name_last,
    note_of,
    read_note,
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


ACCOUNT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/account"


def note(
    root: Path, outputs: Path, *, plan: str = PLAN, workload: str = "job.yaml",
    overrides: tuple[str, ...] = ("x=1",), parts: dict[str, str] = PARTS, rows: bytes = b"rows",
) -> None:  # fmt: skip
    """Notes a plan of `nightly` as a submission does, and that it is the last."""
    tree = note_of("nightly", plan, root)
    write_parts(tree, parts)
    rows_file(tree).write_bytes(rows)
    manifest = Manifest(
        job_id="nightly",
        workload=str(outputs.parent / workload),
        stack=None,
        outputs=str(outputs),
        plan=plan,
        tasks=3,
        created="2026-11-20T02:00:00+00:00",
        overrides=overrides,
        account=ACCOUNT,
    )
    tree.write_manifest(manifest)
    name_last("nightly", plan, root)


@pytest.fixture
def root(outputs: Path, tmp_path: Path) -> Path:
    """A place of results from which `nightly` was submitted."""
    root = tmp_path / "results"
    note(root, outputs)
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
    assert manifest.account == ACCOUNT
    assert differing(tree, PARTS) == ()
    assert rows_file(tree).read_bytes() == b"rows"


def test_a_job_from_before_an_update_is_what_it_was_made_from(
    account: Any, root: Path, outputs: Path
) -> None:
    later, parts = "d2" * 32, {"tasks": "t2", "command": "c1"}
    note(root, outputs, plan=later, workload="other.yaml", overrides=("x=2",), parts=parts,
         rows=b"others")  # fmt: skip
    metadata = [
        item | ({"value": later} if item["name"] == "jobs.plan" else {})
        for item in account.jobs[JOB]["metadata"]
    ]
    account.jobs["nightly:job-4"] = account.jobs[JOB] | {
        "id": "nightly:job-4", "metadata": metadata,
    }  # fmt: skip
    before, after = (find_tree(job, root) for job in (JOB, "nightly:job-4"))
    assert rows_file(before).read_bytes() == b"rows"
    assert rows_file(after).read_bytes() == b"others"
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
    assert tree.read_manifest().account == ACCOUNT
    assert differing(tree, PARTS) is None
    assert not rows_file(tree).exists()


def test_a_note_of_an_earlier_version_says_how_it_is_renewed(root: Path) -> None:
    place = root / ".schedules" / "nightly" / "schedule.json"
    place.write_text(json.dumps({"version": 1, "workload": "/w/job.yaml"}))
    (place.parent / f"{PLAN}.json").touch()
    with pytest.raises(InputError, match=r"python -m jobs run /w/job\.yaml"):
        find_tree(JOB, root)
    forget_notes("nightly", root)
    assert not place.parent.exists()


def test_a_schedule_is_not_looked_for_in_another_account(
    account: Any, root: Path, outputs: Path, values: Any
) -> None:
    other = outputs.with_name("other.json")
    other.write_text(json.dumps(values(batch_account_id=f"{ACCOUNT}2")))
    target = Target(stack=None, outputs=other)
    for find in (find_tree, find_trees):
        with pytest.raises(StackError, match="schedule nightly is in Batch account account, and"):
            find(JOB, root, target)
    with pytest.raises(StackError, match="schedule's account"):
        open_schedule("nightly", target, root)
    outputs.write_text(other.read_text())
    with pytest.raises(StackError, match="is of account account2"):
        find_tree("nightly", root)
    assert account.requests == []
    assert not tree_of(JOB, root).root.exists()


def test_a_schedule_is_found_by_another_name_of_its_stack(
    account: Any, root: Path, outputs: Path
) -> None:
    moved = outputs.with_name("moved.json")
    outputs.rename(moved)
    with pytest.raises(InputError):
        find_tree(JOB, root)
    tree = find_tree(JOB, root, Target(stack=None, outputs=moved))
    assert tree.read_manifest().job_id == JOB
    assert account.requests


def test_a_stack_where_one_works_is_for_schedules_of_others_alone(
    root: Path, outputs: Path, values: Any
) -> None:
    other = outputs.with_name("other.json")
    other.write_text(json.dumps(values(batch_account_id=f"{ACCOUNT}2")))
    usual = Target(stack=None, outputs=other)
    found = {name: open_schedule(name, None, root, usual=usual) for name in ("nightly", "weekly")}
    accounts = {name: one.session.stack.batch_account_id for name, one in found.items()}
    assert accounts == {"nightly": ACCOUNT, "weekly": f"{ACCOUNT}2"}


def test_two_accounts_do_not_share_a_place_of_results(root: Path, values: Any) -> None:
    own, other = (
        parse_stack(values(batch_account_id=one), where="test")
        for one in (ACCOUNT.upper(), f"{ACCOUNT}2")
    )
    require_own_place("nightly", own, root)
    require_own_place("weekly", other, root)
    with pytest.raises(InputError, match=r"--out DIR\) or another id"):
        require_own_place("nightly", other, root)
    (root / ".schedules" / "nightly" / "schedule.json").write_text("{}")
    require_own_place("nightly", other, root)


def test_results_of_an_earlier_schedule_of_the_id_are_not_taken_for_the_latest_job(
    account: Any, root: Path
) -> None:
    find_tree("nightly", root)
    assert find_tree("nightly", root).root == root / "nightly.job-3"
    account.schedules["nightly"]["creationTime"] = "2026-11-21T02:00:01Z"
    with pytest.raises(InputError, match="of a schedule that was deleted: move it away"):
        find_tree("nightly", root)


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


def test_a_job_that_no_workload_file_made_is_refused(account: Any, root: Path) -> None:
    account.jobs[JOB]["metadata"] = []
    found = read_note("nightly", root)
    assert found is not None
    with pytest.raises(InputError, match="was not made from a workload file"):
        adopt(found, account.jobs[JOB], root)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"version": 3}', '{"version": 2}', '{"version": 2, "plan": "../../x"}',
     '{"version": 2, "plan": 1}'],
)  # fmt: skip
def test_a_damaged_note_is_an_error_with_its_place(root: Path, content: str) -> None:
    place = root / ".schedules" / "nightly" / "schedule.json"
    place.write_text(content)
    with pytest.raises(InputError, match=r"schedule\.json"):
        read_note("nightly", root)


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "", "a" * 65, "n:job-1"])
def test_no_note_is_looked_for_outside_its_directory(root: Path, name: str) -> None:
    assert read_note(name, root) is None


def test_notes_are_kept_and_forgotten(root: Path, outputs: Path) -> None:
    found = read_note("nightly", root)
    assert isinstance(found, Note)
    assert found.target == Target(stack=None, outputs=outputs)
    assert list(known_schedules(root)) == ["nightly"]
    assert read_note("nightly", root, PLAN) == found
    forget_notes("nightly", root)
    forget_notes("nightly", root)
    assert list(known_schedules(root)) == []
    assert not (root / ".schedules" / "nightly").exists()


def test_nothing_that_is_not_ours_goes_with_a_note(root: Path) -> None:
    mine = root / ".schedules" / "nightly" / "mine.txt"
    mine.touch()
    forget_notes("nightly", root)
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]


def test_a_tree_that_cannot_be_begun_has_no_manifest(root: Path, tmp_path: Path) -> None:
    found = read_note("nightly", root)
    assert found is not None
    tree = tree_of(JOB, tmp_path / "file")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        found.begin(tree, found.manifest)


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


def test_nodes_without_python_are_named_as_what_is_missing(
    account: Any, service: BatchService, tmp_path: Path
) -> None:
    account.complete(JOB, MANAGER_ID, exit_code=1)
    info = account.tasks[JOB][MANAGER_ID]["executionInfo"]
    info["failureInfo"] = {"category": "usererror", "code": "CommandProgramNotFound",
                           "message": "The specified command program is not found"}  # fmt: skip
    del info["exitCode"]
    account.jobs[JOB]["state"] = "completed"
    account.tasks[JOB][MANAGER_ID]["files"] = {}
    container: Any = SimpleNamespace(get=missing)
    reader = LogReader(
        service=service, job_id=JOB, tree=tree_of(JOB, tmp_path), container=container
    )
    told = explain_job(Watcher(service=service, job_id=JOB), reader).reasons
    (said,) = (text for text in told if text.startswith("its job manager task: "))
    assert "CommandProgramNotFound" in said
    assert any("no python3, which schedules need" in text for text in told)


def missing(name: str, _path: Path) -> int:
    raise NotFoundError(name)


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
