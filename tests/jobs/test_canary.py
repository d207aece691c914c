"""A trial of the first tasks: which they are, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jobs import canary
from jobs.canary import trial_of, trial_text
from jobs.checking import Checked, check
from jobs.errors import ServiceError, WorkloadError
from jobs.loading import LoadedWorkload
from jobs.looks import TaskEnd
from jobs.plan import plan
from jobs.service import BatchService
from jobs.stack import Stack
from jobs.submit import submit
from jobs.watch import Watcher

MakeWorkload = Callable[..., LoadedWorkload]
FILE = """\
name: n
pool: cpu
stages:
  mesh: {command: m, tasks: 8}
  sim: {command: s, after: {mesh: each}, tasks: 8}
  pairs: {command: p, after: {sim: {groups: 2}}, tasks: 4}
  named: {command: a, after: {mesh: {tasks: "0-1"}}, tasks: 8}
  chain: {command: c, after: {chain: previous}, tasks: 8}
  both: {command: b, after: {mesh: each, pairs: {tasks: "0-1"}}, tasks: 8}
  merge: {command: e, after: [sim]}
"""


@pytest.fixture
def checked(workload: MakeWorkload, stack: Stack) -> Checked:
    return check(workload(FILE), stack)


@pytest.mark.parametrize(
    ("first", "trial"),
    [
        (1, (1, 1, 0, 0, 1, 0, 0)),
        (2, (2, 2, 1, 2, 2, 0, 0)),
        (4, (4, 4, 2, 4, 4, 4, 0)),
        (8, (8, 8, 4, 8, 8, 8, 1)),
        (99, (8, 8, 4, 8, 8, 8, 1)),
    ],
)
def test_a_trial_goes_as_far_as_its_tasks_can_run(
    checked: Checked, first: int, trial: tuple[int, ...]
) -> None:
    assert trial_of(checked, first) == trial


@pytest.mark.parametrize("first", range(1, 11))
def test_no_task_of_a_trial_waits_for_one_that_is_not_in_it(checked: Checked, first: int) -> None:
    stages = checked.stages
    trial = trial_of(checked, first)
    tried = {stage.view.name: number for stage, number in zip(stages, trial, strict=True)}
    for stage in stages:
        for at in range(tried[stage.view.name]):
            for waits in stage.dependencies:
                for span in waits.positions(at):
                    assert span[1] < tried[waits.stage]


def test_what_is_tried_and_what_is_not_is_said(
    checked: Checked, workload: MakeWorkload, stack: Stack
) -> None:
    assert trial_text(checked, trial_of(checked, 1)) == (
        "trying the first tasks of each stage: mesh 1, sim 1, chain 1; not pairs, named, both, "
        "merge, whose first task waits for more than these"
    )
    plain = check(workload("name: n\npool: cpu\ncommand: a\ntasks: 9\n"), stack)
    assert trial_text(plain, trial_of(plain, 2)) == "trying the first 2 tasks"


@pytest.mark.parametrize(
    ("first", "run_s", "words"),
    [
        (4, 3600.0, ", more than $"),
        (4, 1e-6, ""),
        (8, 3600.0, ", about $"),
        (8, 1e-6, ", less than $0.0001"),
    ],
)
def test_what_the_others_may_cost_is_said_as_far_as_it_is_known(
    workload: MakeWorkload, stack: Stack, first: int, run_s: float, words: str
) -> None:
    file = """\
        name: n
        pool: cpu
        stages:
          mesh: {command: m, tasks: 16}
          sim: {command: s, after: {mesh: {groups: 8}}, tasks: 2}
        """
    checked = check(workload(file), stack)
    trial = trial_of(checked, first)
    ends = [
        TaskEnd(
            id=f"{stage}{at:07d}", succeeded=True, exit_code=0, failure="", retries=0, requeues=0,
            node_id="n_d", created=0, started=0, ended=run_s,
        )
        for stage, tried in zip((10, 11), trial, strict=True)
        for at in range(tried)
    ]  # fmt: skip
    said = canary._worth(checked, trial, ends)
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_only_the_tasks_of_the_trial_are_submitted_and_the_others_follow(
    checked: Checked, service: BatchService, batch: Any
) -> None:
    job = plan(checked, {}, job_id="job")
    submit(job, service, trial=trial_of(checked, 2))
    assert sorted(batch.tasks["job"]) == [
        "100000000", "100000001", "110000000", "110000001", "120000000",
        "130000000", "130000001", "140000000", "140000001",
    ]  # fmt: skip
    done = submit(job, service, resume=True)
    assert (done.added, done.present) == (job.count - 9, 9)
    assert set(batch.added.values()) == {1}


def test_a_trial_whose_first_task_fails_waits_for_nothing_that_cannot_run(
    checked: Checked, service: BatchService, batch: Any
) -> None:
    submit(plan(checked, {}, job_id="job"), service, trial=(1, 1, 0, 0, 0, 0, 0))
    batch.complete("job", "100000000", exit_code=3)
    watcher = Watcher(service=service, job_id="job", total=2)
    assert not watcher.look().over
    look = watcher.look()
    assert (look.over, look.blocked, look.failed) == (True, 1, 1)


@pytest.mark.parametrize(
    ("tasks", "before", "after"),
    [
        ("{csv: t.txt}", "x\n1\n2\n3\n", "x\n9\n2\n3\n4\n"),
        ("{jsonl: t.txt}", '{"x": 1}\n{"x": 2}\n{"x": 3}\n', '{"x": 9}\n{"x": 2}\n'),
    ],
)
@pytest.mark.parametrize("trial", [True, False])
def test_a_table_that_is_edited_meanwhile_is_sent_as_it_was_planned(
    workload: MakeWorkload,
    stack: Stack,
    service: BatchService,
    batch: Any,
    tasks: str,
    before: str,
    after: str,
    trial: bool,
) -> None:
    """No position twice, and the tasks are those of the plan that the job names."""
    text = f"name: n\npool: cpu\ncommand: a {{x}}\ntasks: {tasks}\n"
    loaded = workload(text, t_DOT_txt=before)
    job = plan(check(loaded, stack), {}, job_id="job")
    wanted = {task.id for task in job.tasks()}
    if trial:
        submit(job, service, trial=(2,))
    (loaded.directory / "t.txt").write_text(after)
    submit(job, service, resume=trial)
    assert set(batch.tasks["job"]) == wanted


def test_a_generator_is_found_out_before_the_task_that_differs_is_sent(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    """A trial walks over the first ones only: the end of the walk is too late."""
    cases = (
        "from pathlib import Path\n"
        "def cases():\n"
        "    more = (Path(__file__).parent / 'more').exists()\n"
        "    for x in range(4):\n"
        "        yield {'x': x + (10 if more and x == 1 else 0)}\n"
    )
    text = 'name: n\npool: cpu\ncommand: a {x}\ntasks: {generator: "c:cases"}\n'
    loaded = workload(text, c_DOT_py=cases)
    job = plan(check(loaded, stack), {}, job_id="job")
    submit(job, service, trial=(2,))
    (loaded.directory / "more").touch()
    with pytest.raises(WorkloadError, match="gave other tasks than when they were counted"):
        submit(job, service, resume=True)
    assert sorted(task_id[:7] for task_id in batch.tasks["job"]) == ["0000000", "0000001"]
    with pytest.raises(WorkloadError, match="gave other tasks"):
        submit(replace(job, job_id="two", body=job.body | {"id": "two"}), service, trial=(2,))
    assert "two" not in batch.jobs


def test_a_file_that_appears_for_a_task_of_the_trial_does_not_send_it_twice(
    workload: MakeWorkload, stack: Stack, service: BatchService, batch: Any
) -> None:
    """Whatever makes a task another one: at its position there is one already."""
    text = "name: n\npool: cpu\ncommand: a {x}\ntasks: {csv: t.csv}\n"
    job = plan(check(workload(text, t_DOT_csv="x\n1\n2\n3\n"), stack), {}, job_id="job")
    submit(job, service, trial=(2,))
    other = plan(check(workload(text, t_DOT_csv="x\n1\n7\n3\n"), stack), {}, job_id="job")
    other = replace(other, body=job.body, complete_body=job.complete_body)
    with pytest.raises(ServiceError, match=r"0000001-\w+ exists in the job and differs"):
        submit(other, service, resume=True)
    assert sorted(task_id[:7] for task_id in batch.tasks["job"]) == ["0000000", "0000001"]
