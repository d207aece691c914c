"""Multi-instance tasks at work: one coordination a node, then the task beside the primary's.

A gang begins on all of its nodes at once. Each instance runs the coordination command;
when all of those have returned, the task's own command line starts on the primary's
node; when that is over, or any part fails, the rest is ended. This module keeps the
gang's own records; what follows for the task is `emulator.engine.tasks`'.

Source: "Use multi-instance tasks to run MPI applications in Batch"
(https://learn.microsoft.com/azure/batch/batch-mpi).
"""

from __future__ import annotations

from typing import Literal

from emulator.clock import from_datetime
from emulator.engine import effects
from emulator.engine.attempts import new_attempt
from emulator.engine.core import Core
from emulator.engine.failures import wire_failure
from emulator.engine.world import Attempt, Gang, Pool, Subtask, Task
from emulator.nodes.interface import TaskOutcome


def possible(pool: Pool) -> bool:
    """Whether a pool can run multi-instance tasks; in another they stay active for ever.

    The service wants nodes that reach each other, and one task at a time on each.
    """
    return bool(pool.body["enableInterNodeCommunication"]) and pool.slots == 1


def attempts(gang: Gang) -> list[Attempt]:
    """All that is still at work, the application before what it relies on."""
    application = [gang.application] if gang.application else []
    return [*application, *gang.instances.values()]


def begin(core: Core, task: Task, instances: list[Attempt]) -> None:
    """The task has its nodes."""
    task.gang = Gang(instances={attempt.instance: attempt for attempt in instances})
    task.subtasks = [
        Subtask(
            id=attempt.instance,
            pool_id=attempt.pool.id,
            node_id=attempt.node.id,
            state="preparing",
            since=core.now,
        )
        for attempt in instances[1:]
    ]


def set_state(
    core: Core, task: Task, attempt: Attempt, state: Literal["running", "completed"]
) -> None:
    """An instance beside the primary gets on."""
    subtask = task.subtasks[attempt.instance - 1]
    if subtask.state != "completed":
        subtask.previous, subtask.previous_since = subtask.state, subtask.since
    subtask.state, subtask.since = state, core.now
    core.save(task)


def coordinated(core: Core, task: Task, gang: Gang, attempt: Attempt, at: int) -> None:
    """An instance's coordination command has returned; the last one lets the task run."""
    gang.coordinated.add(attempt.instance)
    if attempt.instance:
        subtask = task.subtasks[attempt.instance - 1]
        subtask.start, subtask.exit_code = at, 0
        core.save(task)
    waits = len(gang.coordinated) < task.instances
    if waits or gang.intent or gang.outcome or gang.application:
        return
    primary = gang.instances[0]
    gang.application = new_attempt(core, "task", primary.node, job=task.job, task=task)
    core.effects.append(effects.Launch(gang.application))


def part_ended(
    core: Core, task: Task, gang: Gang, attempt: Attempt, outcome: TaskOutcome | None
) -> None:
    """The application or an instance is over; the first outcome is the task's."""
    if attempt is gang.application:
        gang.application = None
    else:
        del gang.instances[attempt.instance]
        if attempt.instance:
            _subtask_ended(core, task, gang, attempt, outcome)
    gang.outcome = gang.outcome or outcome


def _subtask_ended(
    core: Core, task: Task, gang: Gang, attempt: Attempt, outcome: TaskOutcome | None
) -> None:
    subtask = task.subtasks[attempt.instance - 1]
    subtask.end = core.now
    if outcome is not None:
        subtask.start = from_datetime(outcome.start_time)
        subtask.end = from_datetime(outcome.end_time)
        subtask.exit_code = outcome.exit_code
        subtask.failure = wire_failure(outcome.failure)
    done = attempt.instance in gang.coordinated and subtask.failure is None
    subtask.result = "success" if done else "failure"
    set_state(core, task, attempt, "completed")
