"""Transitions of tasks: added, queued, placed, run, retried, ended, gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.clock import MAX_TICKS, from_datetime
from emulator.engine import effects, gangs, statistics
from emulator.engine.attempts import new_attempt, release
from emulator.engine.core import Core
from emulator.engine.failures import ENDED_BY_USER, wire_failure
from emulator.engine.indexes import (
    add_task,
    demand,
    enqueue,
    manager_settings,
    remove_task,
    set_task_state,
    unqueue,
)
from emulator.engine.refusal import Refused
from emulator.engine.task_specs import depends_on, exit_options, packed, satisfies, spec_of
from emulator.engine.world import Attempt, Gang, Intent, Job, Node, Task
from emulator.nodes.interface import TaskOutcome

_CLOSED = {
    "completed": "JobCompleted",
    "terminating": "JobBeingTerminated",
    "deleting": "JobBeingDeleted",
}


def get(job: Job, task_id: str) -> Task:
    """The task of an id.

    Raises:
        Refused: `TaskNotFound`.
    """
    task = job.tasks.get(task_id.lower())
    if task is None:
        raise Refused("TaskNotFound")
    return task


def check_open(job: Job) -> None:
    """Refuses what a job that is over cannot take.

    Raises:
        Refused: `JobCompleted`, `JobBeingTerminated` or `JobBeingDeleted`.
    """
    if job.state in _CLOSED:
        raise Refused(_CLOSED[job.state])


def add(
    core: Core, job: Job, body: Mapping[str, Any], retention: int, *, manager: bool = False
) -> Task:
    """Adds a task to an open job.

    Args:
        core: The engine's state.
        job: Where.
        body: As normalised by the wire, with its `id`.
        retention: How long its directory is kept once it is over, in ticks.
        manager: Whether it is the job's manager task.

    Raises:
        Refused: `TaskExists`, `TaskDependenciesNotSpecifiedOnJob`, or a closed job.
    """
    check_open(job)
    task_id: str = body["id"]
    key = task_id.lower()
    if key in job.tasks:
        raise Refused("TaskExists")
    depends: Mapping[str, Any] | None = body.get("dependsOn")
    if depends and not job.body["usesTaskDependencies"]:
        raise Refused("TaskDependenciesNotSpecifiedOnJob")
    spec = {name: value for name, value in body.items() if name != "id"}
    constraints = spec["constraints"]
    if "maxTaskRetryCount" not in constraints:
        retries = job.body["constraints"]["maxTaskRetryCount"]
        spec["constraints"] = constraints = {**constraints, "maxTaskRetryCount": retries}
    task = Task(
        id=task_id,
        key=task_id if key == task_id else key,
        job=job,
        spec=packed(spec),
        seq=core.next_number(),
        slots=spec["requiredSlots"],
        max_retries=constraints["maxTaskRetryCount"],
        retention=retention,
        created=core.now,
        modified=core.now,
        since=core.now,
        conditional="exitConditions" in spec,
        affinity=spec.get("affinityInfo", {}).get("affinityId", ""),
        instances=spec.get("multiInstanceSettings", {}).get("numberOfInstances", 0),
        manager=manager,
    )
    add_task(job, task)
    if depends:
        depend(task, spec)
    core.save(task)
    queue(core, task)
    return task


def depend(task: Task, spec: Mapping[str, Any]) -> None:
    """Counts what a task still waits for; a task that is not there yet counts."""
    for key in depends_on(spec):
        parent = task.job.tasks.get(key)
        if parent is None or not (parent.state == "completed" and satisfies(parent)):
            task.unmet += 1
            task.job.dependents.setdefault(key, []).append(task)
    task.job.blocked += task.unmet > 0


def _detach(task: Task) -> None:
    """A task that is over, or gone, waits for no other any more."""
    if task.unmet:
        for key in depends_on(spec_of(task)):
            waiting = task.job.dependents.get(key, [])
            if task in waiting:
                waiting.remove(task)
        task.unmet = 0
        task.job.blocked -= 1


def queue(core: Core, task: Task) -> None:
    """Lets a task be seen by the scheduler, once it depends on nothing any more."""
    if task.unmet == 0 and task.state == "active" and not task.queued:
        task.queued = "soon"
        core.in_lane(core.settings.ticks(core.settings.scheduling_latency_s), _seen, task)


def _seen(core: Core, task: Task) -> None:
    if task.queued == "soon":
        enqueue(task, core.next_number())
        core.wake[task.job.pool_key] = None


# Attempts


def place(core: Core, task: Task, nodes: list[Node]) -> list[Attempt]:
    """Puts a waiting task on nodes that have room for it; the caller launches its attempts.

    Args:
        core: The engine's state.
        task: What was waiting.
        nodes: One, or as many as a multi-instance task has instances; the first is the primary's.
    """
    exclusive = task.instances or demand(task) == 0
    unqueue(task)
    attempts = [
        new_attempt(
            core,
            "coordination" if task.instances else "task",
            node,
            job=task.job,
            task=task,
            slots=node.pool.slots if exclusive else task.slots,
            instance=instance,
        )
        for instance, node in enumerate(nodes)
    ]
    if task.instances:
        gangs.begin(core, task, attempts)
    node = nodes[0]
    task.attempt = attempts[0]
    task.pool_id, task.node_id, task.files = node.pool.id, node.id, True
    task.start = task.end = task.exit_code = None
    task.failure = task.result = None
    return attempts


def run(core: Core, attempt: Attempt) -> None:
    """Launches a placed task, or one instance of it."""
    task = attempt.task
    if task is None or attempt.intent:
        return
    if attempt.instance:
        gangs.set_state(core, task, attempt, "running")
    else:
        set_task_state(task, "running", core.now)
        core.save(task)
    core.effects.append(effects.Launch(attempt))


def call_off(core: Core, attempt: Attempt, intent: Intent) -> None:
    """Ends an attempt; what becomes of its task is decided when it is over.

    Instances of a multi-instance task are called off together.
    """
    gang = attempt.task.gang if attempt.task else None
    if gang is None:
        _call_off(core, attempt, intent)
        return
    if not gang.intent or intent in {"terminate", "delete"}:
        gang.intent = intent
    for part in gangs.attempts(gang):
        _call_off(core, part, intent)


def _call_off(core: Core, attempt: Attempt, intent: Intent) -> None:
    if attempt.intent:
        # A stronger wish replaces a weaker one; the processes are being ended already.
        if intent in {"terminate", "delete"}:
            attempt.intent = intent
        return
    attempt.intent, attempt.called_off = intent, core.now
    preparation = attempt.node.preparations.get(attempt.job.key) if attempt.job else None
    if preparation is not None and attempt in preparation.waiting:
        preparation.waiting.remove(attempt)
        ended(core, attempt, None)
        return
    core.effects.append(effects.Cancel(attempt))


def started(core: Core, attempt: Attempt, at: int) -> None:
    """The command's process exists; of a coordination: its command has returned."""
    task = attempt.task
    if task is None:
        return
    if attempt.kind == "task":
        task.start = at
        core.save(task)
    elif task.gang is not None:
        gangs.coordinated(core, task, task.gang, attempt, at)


def ended(core: Core, attempt: Attempt, outcome: TaskOutcome | None) -> None:
    """An attempt at a task is over; without an outcome it was called off."""
    release(core, attempt)
    task = attempt.task
    if task is None:
        return
    if task.gang is not None:
        _part_ended(core, task, task.gang, attempt, outcome)
    else:
        task.attempt = None
        _conclude(core, task, attempt, outcome, attempt.intent)


def _part_ended(
    core: Core, task: Task, gang: Gang, attempt: Attempt, outcome: TaskOutcome | None
) -> None:
    """A part of a multi-instance task is over, and with it the others."""
    gangs.part_ended(core, task, gang, attempt, outcome)
    if outcome is None and not gang.outcome:
        gang.intent = gang.intent or attempt.intent
    for part in gangs.attempts(gang):
        _call_off(core, part, "terminate")
    if not gangs.attempts(gang) and task.gang is gang and task.attempt is not None:
        primary = task.attempt
        task.gang = task.attempt = None
        _conclude(core, task, primary, gang.outcome, gang.intent)


def _conclude(
    core: Core, task: Task, attempt: Attempt, outcome: TaskOutcome | None, intent: Intent
) -> None:
    node = attempt.node
    if outcome is not None:
        _recent(node, task)
        task.start = from_datetime(outcome.start_time)
        task.end = from_datetime(outcome.end_time)
        task.exit_code = outcome.exit_code
        statistics.count(task, node, outcome)
        _finish(core, task, node, outcome)
        return
    # A machine that is lost worked until then, however late its processes' end is told.
    until = attempt.called_off if intent == "lost" else core.now
    statistics.count_called_off(task, node, until or core.now)
    core.save(node)
    if intent == "terminate":
        _recent(node, task)
        task.end = core.now
        complete(core, task, ENDED_BY_USER)
    else:
        requeue(core, task)


def _recent(node: Node, task: Task) -> None:
    node.total_run += 1
    if task in node.recent:
        node.recent.remove(task)
    node.recent.appendleft(task)


def _finish(core: Core, task: Task, node: Node, outcome: TaskOutcome) -> None:
    failure = wire_failure(outcome.failure)
    if failure is None:
        node.total_succeeded += 1
    elif (
        failure["code"] == "FailureExitCode"
        and (task.max_retries < 0 or task.retry_count < task.max_retries)
        and task.job.state not in _CLOSED
    ):
        task.retry_count += 1
        task.last_retry = core.now
        task.start = task.end = None
        set_task_state(task, "active", core.now)
        core.save(task)
        core.save(node)
        queue(core, task)
        return
    core.save(node)
    complete(core, task, failure, at=task.end)


def requeue(core: Core, task: Task) -> None:
    """Puts a task whose attempt came to nothing back into the queue."""
    task.requeue_count += 1
    task.last_requeue = core.now
    task.start = None
    set_task_state(task, "active", core.now)
    core.save(task)
    queue(core, task)


def complete(
    core: Core, task: Task, failure: dict[str, Any] | None, *, at: int | None = None
) -> None:
    """Ends a task for good, with what follows for its dependents and its job."""
    unqueue(task)
    _detach(task)
    task.failure = failure
    task.result = "failure" if failure else "success"
    set_task_state(task, "completed", at or core.now)
    core.save(task)
    job = task.job
    if satisfies(task):
        for dependent in job.dependents.pop(task.key, ()):
            dependent.unmet -= 1
            if not dependent.unmet:
                job.blocked -= 1
                queue(core, dependent)
    keep_files(core, task)
    core.check[job] = None
    if task.manager and manager_settings(job)["killJobOnCompletion"]:
        job.action = "complete"
    elif job.body["onTaskFailure"] == "performexitoptionsjobaction":
        action = exit_options(task).get("jobAction", "none")
        if action != "none" and job.action not in {"terminate", "complete"}:
            job.action = action


def keep_files(core: Core, task: Task, *, since: int | None = None) -> None:
    """Lets a completed task's directory go when its retention, from now or `since`, is over."""
    if not task.files or task.retention >= MAX_TICKS:
        return
    if since is None:
        core.in_lane(task.retention, _retention_over, task)
    else:
        core.at(max(core.now, since + task.retention), _retention_over, task)


def _retention_over(core: Core, task: Task) -> None:
    over = task.state == "completed" and (task.end or 0) + task.retention <= core.now
    if over and task.files:
        task.files = False
        core.save(task)
        core.effects.append(effects.RemoveFiles(task))


# What clients ask for


def terminate(core: Core, task: Task) -> None:
    """Ends a task at a client's request.

    Raises:
        Refused: `TaskCompleted`.
    """
    if task.state == "completed":
        raise Refused("TaskCompleted")
    core.touch(task)
    if task.attempt is not None:
        call_off(core, task.attempt, "terminate")
        return
    task.end = core.now
    task.node_id = task.node_id or ""
    complete(core, task, ENDED_BY_USER)


def reactivate(core: Core, task: Task) -> None:
    """Lets a task that failed run again, with its retries unspent.

    Raises:
        Refused: `OperationInvalidForCurrentState` for one that is not over, or succeeded.
    """
    if task.state != "completed" or task.result == "success":
        raise Refused("OperationInvalidForCurrentState")
    check_open(task.job)
    set_task_state(task, "active", core.now)
    task.start = task.end = task.exit_code = None
    task.failure = task.result = None
    task.retry_count = task.requeue_count = 0
    task.last_retry = task.last_requeue = None
    if task.job.body["usesTaskDependencies"]:
        depend(task, spec_of(task))
    core.touch(task)
    queue(core, task)


def delete(core: Core, task: Task) -> None:
    """Removes a task; one that runs is ended, then its directory goes."""
    running = [*gangs.attempts(task.gang)] if task.gang else [*filter(None, [task.attempt])]
    _detach(task)
    statistics.task_gone(task, core.now)
    core.save(task.job)
    remove_task(task)
    task.attempt = task.gang = None
    for attempt in running:
        attempt.task = None
    for attempt in running:
        call_off(core, attempt, "delete")
    if task.files:
        core.effects.append(effects.RemoveFiles(task))
    core.forget(task)
    core.check[task.job] = None
