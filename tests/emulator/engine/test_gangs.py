"""Multi-instance tasks: on all of their nodes or on none, and over with any of their parts."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.engine import nodes, tasks
from emulator.engine.refusal import Refused
from emulator.engine.world import Attempt, Job, Task
from emulator.service import bodies
from tests.emulator.engine.play import EXIT, Play


def gang(play: Play, job: Job, task_id: str = "mpi", instances: int = 3, **more: Any) -> Task:
    settings = {"numberOfInstances": instances, "coordinationCommandLine": "coordinate"}
    return play.task(job, task_id, multiInstanceSettings=settings, **more)


def coordinations(play: Play) -> list[Attempt]:
    return [a for a in play.launched if a.kind == "coordination" and a.id in a.node.attempts]


def coordinate(play: Play, count: int | None = None) -> None:
    for attempt in coordinations(play)[:count]:
        play.engine.attempt_started(play.now, attempt.id, play.now)
    play.obey()


def drain(play: Play) -> None:
    """The machine ends what was cancelled."""
    while ending := [a for a in play.cancelled if a.id in a.node.attempts]:
        play.engine.attempt_ended(play.now, ending[0].id, None)
        play.obey()


@pytest.fixture
def play() -> Play:
    return Play()


@pytest.fixture
def job(play: Play) -> Job:
    play.ready_pool(dedicated=3, enableInterNodeCommunication=True)
    return play.job()


def test_it_starts_on_distinct_nodes_and_runs_on_the_primary_when_all_are_coordinated(
    play: Play, job: Job
) -> None:
    task = gang(play, job)
    play.wait(5)
    placed = coordinations(play)
    assert len({attempt.node for attempt in placed}) == 3
    coordinate(play, 2)
    assert [a.kind for a in play.launched] == ["coordination"] * 3
    coordinate(play)
    assert play.launched[-1].kind == "task"
    assert play.launched[-1].node.id == task.node_id == placed[0].node.id
    assert [s.state for s in task.subtasks] == ["running", "running"]


def test_it_waits_for_all_of_its_nodes_and_lets_others_pass(play: Play, job: Job) -> None:
    play.task(job, "alone")
    play.wait(5)
    task = gang(play, job)
    play.task(job, "next")
    play.wait(5)
    assert play.placed() == ["alone", "next"]
    play.end("alone")
    play.end("next")
    assert task.state == "running"
    assert len(coordinations(play)) == 3


@pytest.mark.parametrize(
    "pool", [{"enableInterNodeCommunication": False}, {"taskSlotsPerNode": 2}]
)
def test_a_pool_that_cannot_run_it_leaves_it_active(play: Play, pool: dict[str, Any]) -> None:
    play.ready_pool(dedicated=3, **{"enableInterNodeCommunication": True, **pool})
    task = gang(play, play.job())
    play.wait(500)
    assert task.state == "active"


def test_success_of_the_application_ends_the_rest_and_the_subtasks_succeed(
    play: Play, job: Job
) -> None:
    task = gang(play, job)
    play.wait(5)
    coordinate(play)
    application = play.launched[-1]
    play.end_attempt(application, 0)
    assert task.state == "running", "until nothing of it is left"
    drain(play)
    assert (task.state, task.result, task.exit_code) == ("completed", "success", 0)
    assert [(s.state, s.exit_code, s.result) for s in task.subtasks] == [
        ("completed", 0, "success")
    ] * 2
    assert all(node.used == 0 for node in application.pool.nodes.values())


def test_a_failed_coordination_fails_the_task_and_is_retried_as_a_whole(
    play: Play, job: Job
) -> None:
    task = gang(play, job, constraints={"maxTaskRetryCount": 1})
    play.wait(5)
    play.end_attempt(coordinations(play)[2], 7)
    drain(play)
    assert (task.state, task.retry_count) == ("active", 1)
    assert {s.result for s in task.subtasks} == {"failure"}
    play.wait(5)
    play.end_attempt(coordinations(play)[1], 7)
    drain(play)
    assert (task.state, task.exit_code, task.failure and task.failure["code"]) == (
        "completed", 7, EXIT.code
    )  # fmt: skip
    assert not any(a.kind == "task" for a in play.launched)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (lambda play, task: play.run(tasks.terminate, task), "completed"),
        (
            lambda play, task: play.run(
                nodes.operate, task.gang.instances[2].node, "reboot", "requeue"
            ),
            "active",
        ),
    ],
)
def test_what_calls_off_one_instance_calls_off_all(
    play: Play, job: Job, act: Any, state: str
) -> None:
    task = gang(play, job)
    play.wait(5)
    coordinate(play)
    act(play, task)
    assert len(play.cancelled) == 4
    drain(play)
    assert task.state == state
    assert not job.attempts


def test_deleting_it_ends_every_instance(play: Play, job: Job) -> None:
    task = gang(play, job)
    play.wait(5)
    coordinate(play)
    play.run(tasks.delete, task)
    assert len(play.cancelled) == 4
    drain(play)
    assert not job.attempts
    assert not job.tasks


def test_every_node_is_prepared_before_its_instance_starts(play: Play) -> None:
    play.ready_pool(dedicated=2, enableInterNodeCommunication=True)
    task = gang(play, play.job(jobPreparationTask={"commandLine": "prepare"}), instances=2)
    play.wait(5)
    assert not coordinations(play)
    first, second = [a for a in play.launched if a.kind == "preparation"]
    play.end_attempt(second, 0)
    assert len(coordinations(play)) == 1
    play.end_attempt(first, 0)
    assert len(coordinations(play)) == 2
    assert task.state == "running"


def test_required_slots_are_refused() -> None:
    settings = {"coordinationCommandLine": "c"}
    wire = {"id": "t", "commandLine": "c", "multiInstanceSettings": settings, "requiredSlots": 2}
    with pytest.raises(Refused) as refused:
        bodies.task(wire, "")
    assert refused.value.values["PropertyName"] == "requiredSlots"
