import pytest

from emulator.engine import jobs, nodes, tasks
from emulator.engine.refusal import Refused
from emulator.nodes.interface import FailureInfo
from tests.emulator.engine.play import Play


def test_higher_priority_goes_first_and_equals_take_turns() -> None:
    play = Play()
    low, one, two = play.job("low"), play.job("one", priority=5), play.job("two", priority=5)
    for job in (low, one, two):
        for number in range(2):
            play.task(job, f"{job.id}{number}")
    play.ready_pool(dedicated=1, taskSlotsPerNode=5)
    assert play.placed() == ["one0", "two0", "one1", "two1", "low0"]


def test_tasks_of_one_job_go_in_the_order_in_which_they_were_added() -> None:
    play = Play()
    job = play.job()
    for name in ("c", "a", "b"):
        play.task(job, name)
    play.ready_pool(dedicated=1, taskSlotsPerNode=3)
    assert play.placed() == ["c", "a", "b"]


def test_spread_uses_all_nodes_and_pack_fills_one_first() -> None:
    for fill, nodes_used in (("spread", 2), ("pack", 1)):
        play = Play()
        policy = {"nodeFillType": fill}
        play.ready_pool(dedicated=2, taskSlotsPerNode=2, taskSchedulingPolicy=policy)
        job = play.job()
        play.task(job, "a")
        play.task(job, "b")
        play.wait(10)
        assert len({attempt.node.id for attempt in play.launched}) == nodes_used


def test_a_task_that_needs_more_slots_than_are_free_lets_smaller_ones_pass() -> None:
    play = Play()
    play.ready_pool(dedicated=1, taskSlotsPerNode=3)
    job = play.job()
    play.task(job, "two", requiredSlots=2)
    play.task(job, "big", requiredSlots=3)
    play.task(job, "one")
    play.wait(10)
    assert play.placed() == ["two", "one"]
    play.end("two")
    play.end("one")
    assert play.placed() == ["big"]


def test_a_task_that_fits_no_node_waits_for_ever() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    task = play.task(play.job(), "big", requiredSlots=2)
    play.wait(100_000)
    assert task.state == "active"


def test_a_job_runs_no_more_tasks_at_once_than_it_may() -> None:
    play = Play()
    play.ready_pool(dedicated=3)
    job = play.job(maxParallelTasks=1)
    for name in "abc":
        play.task(job, name)
    play.wait(10)
    assert play.placed() == ["a"]
    play.end("a")
    assert play.placed() == ["b"]


def test_a_failing_task_is_retried_as_often_as_it_may_be() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    task = play.task(play.job(), "t", constraints={"maxTaskRetryCount": 2})
    for _ in range(3):
        play.wait(10)
        assert task.state == "running"
        play.end("t", 3)
    assert (task.state, task.result, task.retry_count) == ("completed", "failure", 2)
    assert task.exit_code == 3


def test_only_an_exit_code_is_retried() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    task = play.task(play.job(), "t", constraints={"maxTaskRetryCount": -1})
    play.wait(10)
    missing = FailureInfo(category="UserError", code="CommandProgramNotFound", message="no")
    play.end("t", None, missing)
    assert (task.state, task.retry_count) == ("completed", 0)


def test_a_task_runs_when_those_it_depends_on_succeeded() -> None:
    play = Play()
    play.ready_pool(dedicated=4)
    job = play.job(usesTaskDependencies=True)
    last = play.task(
        job, "last", dependsOn={"taskIds": ["a"], "taskIdRanges": [{"start": 1, "end": 2}]}
    )
    for name in ("a", "1", "2"):
        play.task(job, name)
    play.wait(10)
    for name in ("a", "1"):
        play.end(name)
    play.wait(10)
    assert (last.state, job.blocked) == ("active", 1)
    play.end("2")
    play.wait(10)
    assert (last.state, job.blocked) == ("running", 0)


def test_a_failed_parent_blocks_unless_its_exit_condition_says_otherwise() -> None:
    play = Play()
    play.ready_pool(dedicated=4)
    job = play.job(usesTaskDependencies=True)
    satisfy = {"exitCodes": [{"code": 9, "exitOptions": {"dependencyAction": "satisfy"}}]}
    play.task(job, "lenient", exitConditions=satisfy)
    play.task(job, "strict")
    child = play.task(job, "child", dependsOn={"taskIds": ["lenient"]})
    blocked = play.task(job, "blocked", dependsOn={"taskIds": ["strict"]})
    play.wait(10)
    play.end("lenient", 9)
    play.end("strict", 9)
    play.wait(10)
    assert (child.state, blocked.state) == ("running", "active")


def test_dependencies_need_a_job_that_uses_them() -> None:
    play = Play()
    with pytest.raises(Refused, match="TaskDependenciesNotSpecifiedOnJob"):
        play.task(play.job(), "t", dependsOn={"taskIds": ["a"]})


@pytest.mark.parametrize(
    ("action", "state"), [("terminate", "completed"), ("disable", "disabled")]
)
def test_a_failed_task_can_end_or_disable_its_job(action: str, state: str) -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    job = play.job(onTaskFailure="performexitoptionsjobaction")
    play.task(job, "t", exitConditions={"default": {"jobAction": action}})
    play.wait(10)
    play.end("t", 1)
    play.wait(10)
    assert job.state == state


def test_a_job_ends_when_all_its_tasks_have_and_not_before_it_has_any() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    job = play.job(onAllTasksComplete="terminatejob")
    play.wait(100)
    assert job.state == "active"
    play.task(job, "t")
    play.wait(10)
    play.end("t")
    play.wait(10)
    assert (job.state, job.terminate_reason) == ("completed", "AllTasksCompleted")
    with pytest.raises(Refused, match="JobCompleted"):
        play.task(job, "late")


def test_a_terminated_task_that_waited_ends_at_once_and_one_that_ran_when_it_is_gone() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    job = play.job()
    runs, waits = play.task(job, "runs"), play.task(job, "waits")
    play.wait(10)
    play.run(tasks.terminate, waits)
    assert (waits.state, waits.node_id, (waits.failure or {})["code"]) == (
        "completed",
        "",
        "TaskEnded",
    )
    play.run(tasks.terminate, runs)
    assert (runs.state, play.cancelled[0].task_id) == ("running", "runs")
    play.end("runs", None)
    assert (runs.state, (runs.failure or {})["code"]) == ("completed", "TaskEnded")


def test_a_disabled_job_requeues_and_goes_on_when_it_is_enabled() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    job = play.job()
    task = play.task(job, "t")
    play.wait(10)
    play.run(jobs.disable, job, "requeue")
    assert job.state == "disabling"
    play.end("t", None)
    play.wait(10)
    assert (job.state, task.state, task.requeue_count) == ("disabled", "active", 1)
    play.run(jobs.enable, job)
    play.wait(10)
    assert task.state == "running"


def test_preparation_runs_once_on_a_node_before_its_first_task_and_release_at_the_end() -> None:
    play = Play()
    play.ready_pool(dedicated=1, taskSlotsPerNode=2)
    job = play.job(
        jobPreparationTask={"commandLine": "prepare"}, jobReleaseTask={"commandLine": "release"}
    )
    one, two = play.task(job, "one"), play.task(job, "two")
    play.wait(10)
    assert (play.placed(), one.state, two.state) == (["jobpreparation"], "preparing", "preparing")
    play.end("jobpreparation")
    assert play.placed() == ["one", "two"]
    play.end("one")
    play.end("two")
    play.run(jobs.terminate, job, "done")
    assert (play.placed(), job.state) == (["jobrelease"], "terminating")
    play.end("jobrelease")
    play.wait(10)
    assert job.state == "completed"


def test_a_node_whose_preparation_failed_runs_no_task_of_the_job() -> None:
    play = Play()
    pool = play.ready_pool(dedicated=2)
    job = play.job(jobPreparationTask={"commandLine": "prepare"})
    task = play.task(job, "t")
    play.wait(10)
    first = play.launched[-1].node
    play.end("jobpreparation", 1)
    play.wait(10)
    assert play.placed() == ["jobpreparation"]
    assert play.launched[-1].node is not first
    play.end("jobpreparation")
    assert task.state == "running"
    assert len(pool.nodes) == 2


def test_the_directory_goes_when_retention_is_over() -> None:
    play = Play()
    play.ready_pool(dedicated=1)
    task = play.task(play.job(), "t", constraints={"retentionTime": "PT1H"})
    play.wait(10)
    play.end("t")
    play.wait(3599)
    assert task.files
    play.wait(2)
    assert not task.files


def test_a_rebooted_node_requeues_its_task_and_comes_back() -> None:
    play = Play()
    pool = play.ready_pool(dedicated=1)
    task = play.task(play.job(), "t")
    play.wait(10)
    node = play.node(pool)
    play.run(nodes.operate, node, "reboot", "requeue")
    assert (node.state, task.state) == ("rebooting", "running")
    play.end("t", None)
    play.wait(3600)
    assert (node.state, task.state, task.requeue_count) == ("running", "running", 1)
