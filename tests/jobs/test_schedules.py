"""A schedule as it is sent: its manager task, its files, and that it is there once."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from jobs import task_files
from jobs.checking import check
from jobs.contents import ContentCache
from jobs.errors import InputError, NotFoundError, TakenError
from jobs.inputs import NodeFile
from jobs.job_ids import (
    again_id,
    chosen_id,
    folder_of,
    is_job_id,
    schedule_of,
    scheduled_id,
    written_id,
)
from jobs.job_schedules import JobSchedule
from jobs.loading import LoadedWorkload
from jobs.managed import ManagerLook, without_manager
from jobs.plan import JobPlan, plan
from jobs.results import find_tree, tree_of
from jobs.schedules import (
    META_SCHEDULE,
    SchedulePlan,
    add_schedule,
    plan_schedule,
    update_schedule,
)
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.stage import contents_of
from jobs.submit import metadata_of
from jobs.task_files import placeholder_of, write_task_files

MakeWorkload = Callable[..., LoadedWorkload]
FAN = """\
    name: nightly
    pool: cpu
    schedule: {every: 1d}
    stages:
      square:
        script: echo {x} > n.txt
        outputs: [n.txt]
        tasks: {sweep: {x: [1, 2, 3]}}
      total:
        after: square
        inputs: [{from: square}]
        script: cat {square}/*/n.txt
        outputs: ["*.txt"]
    """


@pytest.fixture
def make(workload: MakeWorkload, stack: Stack) -> Callable[..., JobPlan]:
    def planned(text: str = FAN, *overrides: str, **files: str) -> JobPlan:
        checked = check(workload(text, *overrides, **files), stack)
        with ContentCache(None) as cache:
            contents = contents_of(checked, cache)
        return plan(checked, contents, job_id="nightly")

    return planned


@pytest.fixture
def written(tmp_path: Path) -> Callable[[JobPlan], list[NodeFile]]:
    def write(job: JobPlan) -> list[NodeFile]:
        directory = tmp_path / f"tasks-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        return write_task_files(job, directory)

    return write


@pytest.fixture
def schedule(
    make: Callable[..., JobPlan], written: Callable[[JobPlan], list[NodeFile]]
) -> Callable[..., SchedulePlan]:
    def planned(text: str = FAN, *overrides: str, **files: str) -> SchedulePlan:
        job = make(text, *overrides, **files)
        return plan_schedule(job, written(job))

    return planned


def bodies(files: Sequence[NodeFile]) -> Iterator[list[bytes]]:
    for file in files:
        with gzip.open(file.local, "rb") as stream:
            yield stream.read().splitlines()


def test_the_files_hold_the_tasks_that_a_submission_would_send(
    make: Callable[..., JobPlan], written: Callable[[JobPlan], list[NodeFile]]
) -> None:
    job = make()
    placeholder = placeholder_of(job).encode()
    found = [
        [line.replace(placeholder, b"nightly") for line in lines] for lines in bodies(written(job))
    ]
    assert found == [[task.body for task in stage] for stage in job.stages()]


def test_no_task_names_a_job_but_by_the_placeholder(
    make: Callable[..., JobPlan], written: Callable[[JobPlan], list[NodeFile]]
) -> None:
    job = make()
    for line in (line for lines in bodies(written(job)) for line in lines):
        task = orjson.loads(line)
        paths = [file["destination"]["container"]["path"] for file in task["outputFiles"]]
        assert paths
        assert all(path.startswith(f"{placeholder_of(job)}/{task['id']}") for path in paths)
        assert b"nightly" not in line


def test_the_same_tasks_are_the_same_bytes(
    make: Callable[..., JobPlan], written: Callable[[JobPlan], list[NodeFile]]
) -> None:
    job = make()
    first, second = ([f.local.read_bytes() for f in written(job)] for _ in range(2))
    assert first == second
    other = make(FAN.replace("[1, 2, 3]", "[1, 2, 4]"))
    assert placeholder_of(other) != placeholder_of(job)


@pytest.mark.parametrize("limit", ["tasks", "bytes"])
def test_many_tasks_are_several_files_in_order(
    make: Callable[..., JobPlan],
    written: Callable[[JobPlan], list[NodeFile]],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    text = "name: n\npool: cpu\nschedule: 1d\ncommand: echo {index}\ntasks: 25\n"
    job = make(text)
    if limit == "tasks":
        monkeypatch.setattr(task_files, "TASKS_PER_FILE", 10)
    else:
        size = sum(len(task.body) for task in job.tasks())
        monkeypatch.setattr(task_files, "BYTES_PER_FILE", size * 2 // 5)
    files = written(job)
    assert len(files) == 3
    assert [f.node_path for f in files] == sorted(f.node_path for f in files)
    ids = [orjson.loads(line)["id"] for lines in bodies(files) for line in lines]
    assert ids == [task.id for task in job.tasks()]


def test_memory_does_not_grow_with_the_number_of_tasks(
    make: Callable[..., JobPlan], written: Callable[[JobPlan], list[NodeFile]]
) -> None:
    job = make("name: n\npool: cpu\nschedule: 1d\ncommand: echo {index}\ntasks: 6000\n")
    whole = sum(len(task.body) for task in job.tasks())
    tracemalloc.start()
    try:
        written(job)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert whole > 5_000_000
    assert peak < 1_500_000, f"{peak:,} bytes for {whole:,}"


def test_a_task_that_the_service_would_not_take_is_refused_here(
    make: Callable[..., JobPlan], written: Callable[[JobPlan], list[NodeFile]]
) -> None:
    text = f"name: n\npool: cpu\nschedule: 1d\ncommand: [echo, {'x' * 1_000_001}]\n"
    with pytest.raises(InputError, match="give it fewer files"):
        written(make(text))


def test_the_manager_task_has_a_token_and_reads_with_the_pools_identity(
    schedule: Callable[..., SchedulePlan], stack: Stack
) -> None:
    made = schedule()
    spec = made.body["jobSpecification"]
    manager = spec["jobManagerTask"]
    assert manager["authenticationTokenSettings"] == {"access": ["job"]}
    assert manager["killJobOnCompletion"] is False
    assert manager["runExclusive"] is False
    assert manager["commandLine"] == f"python3 job_manager.py {placeholder_of(made.job)}"
    (log,) = manager["outputFiles"]
    assert log["filePattern"].startswith("log/**/"), "a place of its own in every run"
    assert "path" not in log["destination"]["container"]
    paths = [file["filePath"] for file in manager["resourceFiles"]]
    assert paths == ["job_manager.py", "tasks/00000.jsonl.gz", "tasks/00001.jsonl.gz"]
    for file in manager["resourceFiles"]:
        assert file["identityReference"] == {"resourceId": stack.pools["cpu"].identity_id}
        assert "?" not in file["httpUrl"], "no signature that could run out"
        assert "/sha256/" in file["httpUrl"]
    assert spec["onAllTasksComplete"] == "terminatejob"
    assert spec["usesTaskDependencies"] is True
    assert "id" not in spec
    assert metadata_of(spec)["jobs.submission"] == "unfinished"
    assert made.sent(datetime.now(UTC))["schedule"] == {"recurrenceInterval": "P1D"}


def test_in_azure_the_nodes_identity_adds_the_tasks(
    schedule: Callable[..., SchedulePlan], stack: Stack
) -> None:
    made = schedule()
    checked = made.job.checked
    entra = stack.model_copy(update={"authentication": "entra"})
    job = replace(made.job, checked=replace(checked, stack=entra))
    manager = plan_schedule(job, ()).body["jobSpecification"]["jobManagerTask"]
    assert "authenticationTokenSettings" not in manager, "accounts in Azure give none any more"
    assert manager["commandLine"].split()[2:] == [
        placeholder_of(job),
        stack.pools["cpu"].identity_id,
    ]


def test_what_a_job_has_beside_tasks_a_scheduled_one_has_too(
    schedule: Callable[..., SchedulePlan],
) -> None:
    made = schedule(
        FAN.replace("schedule:", "preparation: echo hi\n    release: echo bye\n    schedule:")
        .replace("outputs: [n.txt]", "outputs: [n.txt]\n        on_failure: stop")
    )  # fmt: skip
    spec = made.body["jobSpecification"]
    assert spec["jobPreparationTask"]["commandLine"] == "echo hi"
    assert spec["jobReleaseTask"]["commandLine"] == "echo bye"
    assert spec["onTaskFailure"] == "performexitoptionsjobaction"


def test_where_tasks_are_in_containers_the_manager_task_is_too(
    schedule: Callable[..., SchedulePlan],
) -> None:
    container = "{image: python:3.12, run_options: --ipc=host, working_directory: image}"
    text = f"name: n\npool: cpu\nschedule: 1d\ncommand: x\ncontainer: {container}\n"
    manager = schedule(text).body["jobSpecification"]["jobManagerTask"]
    assert manager["containerSettings"] == {"imageName": "python:3.12"}


def test_submitted_twice_it_is_there_once(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any
) -> None:
    assert add_schedule(schedule(), service) is True
    assert add_schedule(schedule(), service) is False
    assert list(batch.schedules) == ["nightly"]


def test_an_answer_that_is_lost_is_no_second_schedule(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any, fault: Any
) -> None:
    lost = [fault(after_work=True, drop=True)]
    batch.fault = lambda method, *_: lost.pop() if method == "POST" and lost else None
    assert add_schedule(schedule(), service) is False
    assert list(batch.schedules) == ["nightly"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("{every: 1d}", "{every: 2d}"), ("[1, 2, 3]", "[1, 2]"), ("echo {x}", "echo 1{x}")],
)
def test_another_one_of_the_same_id_is_refused_and_can_be_updated(
    schedule: Callable[..., SchedulePlan],
    service: BatchService,
    batch: Any,
    before: str,
    after: str,
) -> None:
    add_schedule(schedule(), service)
    other = schedule(FAN.replace(before, after))
    with pytest.raises(TakenError, match=r"schedule update .*job\.yaml; or"):
        add_schedule(other, service)
    assert metadata_of(batch.schedules["nightly"])[META_SCHEDULE] != other.digest
    update_schedule(other, service)
    assert metadata_of(batch.schedules["nightly"])[META_SCHEDULE] == other.digest
    assert batch.schedules["nightly"]["schedule"] == other.timing.wire()
    assert add_schedule(other, service) is False


PAST = "{every: 1d, start: 2020-01-01T02:00Z}"


def first_turn(batch: Any) -> datetime:
    return datetime.fromisoformat(batch.schedules["nightly"]["schedule"]["doNotRunUntil"])


def test_one_whose_start_has_passed_is_sent_with_its_next_turn(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any
) -> None:
    past = schedule(FAN.replace("{every: 1d}", PAST))
    began = datetime.now(UTC)
    assert add_schedule(past, service) is True
    assert began < first_turn(batch) <= datetime.now(UTC) + timedelta(days=1, seconds=10)
    assert (first_turn(batch).hour, first_turn(batch).minute) == (2, 0)
    assert add_schedule(schedule(FAN.replace("{every: 1d}", PAST)), service) is False


def test_an_update_leaves_the_turns_of_one_that_has_begun(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any
) -> None:
    add_schedule(schedule(FAN.replace("{every: 1d}", PAST)), service)
    begun = "2020-02-01T02:00:00Z"
    batch.schedules["nightly"]["schedule"]["doNotRunUntil"] = begun
    update_schedule(schedule(FAN.replace("{every: 1d}", PAST).replace("3]", "4]")), service)
    assert batch.schedules["nightly"]["schedule"]["doNotRunUntil"] == begun
    began = datetime.now(UTC)
    update_schedule(schedule(FAN.replace("{every: 1d}", PAST.replace("02:00", "03:00"))), service)
    assert first_turn(batch).hour == 3
    assert first_turn(batch) > began


def test_what_is_not_there_is_not_updated(
    schedule: Callable[..., SchedulePlan], service: BatchService
) -> None:
    with pytest.raises(NotFoundError, match="add it with python -m jobs run"):
        update_schedule(schedule(), service)


def test_one_that_is_over_is_not_taken_for_submitted(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any
) -> None:
    add_schedule(schedule(), service)
    batch.schedules["nightly"]["state"] = "completed"
    other = schedule(FAN.replace("[1, 2, 3]", "[1, 2]"))
    for again in (schedule(), other):
        with pytest.raises(TakenError, match=r"it makes no more jobs.*schedule delete nightly"):
            add_schedule(again, service)


def test_one_that_is_over_is_not_changed_and_every_verb_says_what_to_do(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any
) -> None:
    add_schedule(schedule(), service)
    batch.schedules["nightly"]["state"] = "completed"
    found = JobSchedule(id="nightly", session=SimpleNamespace(service=service))  # type: ignore[arg-type] # of its services, one is asked
    changes = [
        lambda: update_schedule(schedule(FAN.replace("1d", "2d")), service),
        found.pause,
        found.resume,
    ]
    for change in changes:
        with pytest.raises(InputError, match=r"is completed.*schedule delete nightly.*--job-id"):
            change()
    assert metadata_of(batch.schedules["nightly"])[META_SCHEDULE] == schedule().digest


def test_one_that_is_being_deleted_is_waited_for(
    schedule: Callable[..., SchedulePlan], service: BatchService, batch: Any, fault: Any
) -> None:
    batch.fault = lambda method, *_: (
        fault(status=409, code="JobScheduleBeingDeleted") if method == "POST" else None
    )
    with pytest.raises(TakenError, match="is being deleted: once it is gone"):
        add_schedule(schedule(), service)


def test_the_schedule_is_no_part_of_what_its_jobs_do(make: Callable[..., JobPlan]) -> None:
    daily, weekly = make(), make(FAN.replace("1d", "7d"))
    assert daily.digest == weekly.digest


# Ids and folders


def test_the_folders_of_jobs_never_meet() -> None:
    ids = ["n:job-1", "n:job-2", "n:job-12", "m:job-1", "n-job-1", "n_job-1", "n"]
    assert len({folder_of(one) for one in ids}) == len(ids)
    assert not any(set(folder_of(one)) & set(":/\\\"'$ ") for one in ids)


@pytest.mark.parametrize("text", ["n:job-1", "n.job-1"])
def test_a_schedules_job_is_found_by_id_and_by_folder(text: str, tmp_path: Path) -> None:
    assert scheduled_id(text) == "n:job-1"
    assert schedule_of(text) == "n"
    assert tree_of(text, tmp_path).root == tmp_path / "n.job-1"


@pytest.mark.parametrize(
    "text", ["n:job-0", "n:job-01", "n:job-", "n:1", ":job-1", "../x:job-1", "n:job-1/..", "n.x",
             "n:job-1\n", "é:job-1", "n:job-\u0661"],
)  # fmt: skip
def test_what_only_looks_like_one_is_none(text: str, tmp_path: Path) -> None:
    assert not is_job_id(text)
    with pytest.raises(InputError, match="is no job id"):
        tree_of(text, tmp_path)


@pytest.mark.parametrize("text", ["last", "all", "5", "0", "1-3"])
def test_what_means_other_jobs_is_chosen_for_none(text: str) -> None:
    with pytest.raises(InputError, match="cannot be an id"):
        chosen_id(text)
    assert written_id(text) == text, "one that is there can still be deleted"


@pytest.mark.parametrize("text", ["lasts", "All", "5a", "job-5", "2026-11-21", "1-"])
def test_other_ids_are_as_free_as_before(text: str) -> None:
    assert chosen_id(text) == text


def test_an_attempt_is_found_by_the_id_of_its_job(tmp_path: Path) -> None:
    tree = tmp_path / "n.job-3"
    tree.mkdir()
    (tree / "job.json").write_text(json.dumps({}))
    assert again_id("n:job-3", 2) == "n-job-3-r2"
    assert find_tree("n-job-3-r2", tmp_path).root == tree


# Counting


@pytest.mark.parametrize(
    ("look", "counts", "left"),
    [
        (("active", False), (1, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
        (("running", False), (4, 1, 0, 0, 0), (4, 0, 0, 0, 0)),
        (("running", False), (4, 0, 1, 1, 0), (4, 0, 0, 0, 0)),
        (("active", False), (0, 1, 0, 0, 0), (0, 0, 0, 0, 0)),
        (("completed", True), (1, 1, 3, 2, 1), (1, 1, 2, 1, 1)),
        (("completed", False), (0, 0, 3, 2, 1), (0, 0, 2, 2, 0)),
        (("completed", True), (2, 0, 0, 0, 0), (2, 0, 0, 0, 0)),
    ],
)
def test_the_manager_task_is_none_of_a_jobs_tasks(
    look: tuple[str, bool], counts: tuple[int, ...], left: tuple[int, ...]
) -> None:
    names = ("active", "running", "completed", "succeeded", "failed")
    manager = ManagerLook(state=look[0], succeeded=look[1], info={})
    found = without_manager(dict(zip(names, counts, strict=True)), manager)
    assert tuple(found[name] for name in names) == left
    assert without_manager({"active": 1}, None) == {"active": 1}
