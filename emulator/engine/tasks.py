"""Transitions of tasks: added, queued, placed, run, retried, ended, gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from emulator.clock import MAX_TICKS, from_datetime
from emulator.engine import effects
from emulator.engine.core import Core
from emulator.engine.refusal import Refused
from emulator.engine.world import (
    Attempt,
    Intent,
    Job,
    Node,
    Task,
    add_task,
    enqueue,
    reindex,
    remove_task,
    set_node_state,
    set_task_state,
    unqueue,
)
from emulator.nodes.interface import FailureInfo, TaskOutcome

ENDED_BY_USER: dict[str, Any] = {
    "category": "UserError",
    "code": "TaskEnded",
    "message": "Task Was Ended by User Request",
}
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


def add(core: Core, job: Job, body: Mapping[str, Any], retention: int) -> Task:
    """Adds a task to an open job.

    Args:
        core: The engine's state.
        job: Where.
        body: As normalised by the wire, with its `id`.
        retention: How long its directory is kept once it is over, in ticks.

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
    )
    add_task(job, task)
    if depends:
        depend(task, depends)
    core.save(task)
    queue(core, task)
    return task


def packed(spec: Mapping[str, Any]) -> bytes:
    """A specification as it is kept; copied, because orjson's own bytes hold a whole page."""
    return bytes(memoryview(orjson.dumps(spec)))


def spec_of(task: Task) -> dict[str, Any]:
    """What the client wrote, normalised."""
    spec: dict[str, Any] = orjson.loads(task.spec)
    return spec


def depends_on(spec: Mapping[str, Any]) -> Iterable[str]:
    """Keys of the tasks that a task depends on; a range names ids that are numbers."""
    depends: Mapping[str, Any] = spec.get("dependsOn") or {}
    yield from dict.fromkeys(
        [
            *(task_id.lower() for task_id in depends.get("taskIds", ())),
            *(
                str(number)
                for span in depends.get("taskIdRanges", ())
                for number in range(span["start"], span["end"] + 1)
            ),
        ]
    )


def depend(task: Task, depends: Mapping[str, Any]) -> None:
    """Counts what a task still waits for; a task that is not there yet counts."""
    for key in depends_on({"dependsOn": depends}):
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


def place(core: Core, task: Task, node: Node) -> Attempt:
    """Puts a waiting task on a node with enough free slots; the caller launches it."""
    unqueue(task)
    attempt = new_attempt(core, "task", node, job=task.job, task=task, slots=task.slots)
    task.attempt = attempt
    task.pool_id, task.node_id, task.files = node.pool.id, node.id, True
    task.start = task.end = task.exit_code = None
    task.failure = task.result = None
    return attempt


def run(core: Core, attempt: Attempt) -> None:
    """Launches a placed task."""
    task = attempt.task
    if task is None or attempt.intent:
        return
    set_task_state(task, "running", core.now)
    core.save(task)
    core.effects.append(effects.Launch(attempt))


def new_attempt(
    core: Core,
    kind: Any,
    node: Node,
    *,
    job: Job | None = None,
    task: Task | None = None,
    task_id: str = "",
    slots: int = 0,
) -> Attempt:
    """Takes slots of a node for a run of something."""
    attempt = Attempt(
        id=core.next_number(),
        kind=kind,
        pool=node.pool,
        node=node,
        job=job,
        task=task,
        task_id=task.id if task else task_id,
        slots=slots,
    )
    core.attempts[attempt.id] = attempt
    node.attempts[attempt.id] = attempt
    node.used += slots
    if job is not None:
        job.attempts[attempt.id] = attempt
    if kind == "task":
        set_node_state(node, "running" if node.state == "idle" else node.state, core.now)
    return attempt


def release(core: Core, attempt: Attempt) -> None:
    """Gives an attempt's slots back."""
    node = attempt.node
    del core.attempts[attempt.id]
    del node.attempts[attempt.id]
    node.used -= attempt.slots
    if attempt.job is not None:
        attempt.job.attempts.pop(attempt.id, None)
        core.check[attempt.job] = None
    if node.state == "running" and not any(a.kind == "task" for a in node.attempts.values()):
        set_node_state(node, "idle", core.now)
    else:
        reindex(node)
    core.wake[attempt.pool.key] = None
    core.vacated[node] = None


def call_off(core: Core, attempt: Attempt, intent: Intent) -> None:
    """Ends an attempt; what becomes of its task is decided when it is over."""
    if attempt.intent:
        # A stronger wish replaces a weaker one; the processes are being ended already.
        if intent in {"terminate", "delete"}:
            attempt.intent = intent
        return
    attempt.intent = intent
    preparation = attempt.node.preparations.get(attempt.job.key) if attempt.job else None
    if preparation is not None and attempt in preparation.waiting:
        preparation.waiting.remove(attempt)
        ended(core, attempt, None)
        return
    core.effects.append(effects.Cancel(attempt))


def started(core: Core, attempt: Attempt, at: int) -> None:
    """The command's process exists."""
    if attempt.task is not None:
        attempt.task.start = at
        core.save(attempt.task)


def ended(core: Core, attempt: Attempt, outcome: TaskOutcome | None) -> None:
    """An attempt at a task is over; without an outcome it was called off."""
    release(core, attempt)
    task, node = attempt.task, attempt.node
    if task is None:
        return
    task.attempt = None
    if outcome is not None:
        _recent(node, task)
        task.start = from_datetime(outcome.start_time)
        task.end = from_datetime(outcome.end_time)
        task.exit_code = outcome.exit_code
        _finish(core, task, node, outcome)
    elif attempt.intent == "terminate":
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


def wire_failure(failure: FailureInfo | None) -> dict[str, Any] | None:
    """A `failureInfo` as the wire has it."""
    if failure is None:
        return None
    wire: dict[str, Any] = {
        "category": failure.category,
        "code": failure.code,
        "message": failure.message,
    }
    if failure.details:
        wire["details"] = [{"name": name, "value": value} for name, value in failure.details]
    return wire


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
    if job.body["onTaskFailure"] == "performexitoptionsjobaction":
        action = exit_options(task).get("jobAction", "none")
        if action != "none" and job.action != "terminate":
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


def exit_options(task: Task) -> dict[str, Any]:
    """What a completed task's exit conditions ask for, with the documented defaults.

    An exit code that no condition names falls to `default`; without that, success asks
    for nothing and failure blocks dependents and terminates the job (`ExitOptions`).
    """
    ok = task.result == "success"
    defaults = (
        {"jobAction": "none", "dependencyAction": "satisfy"}
        if ok
        else {"jobAction": "terminate", "dependencyAction": "block"}
    )
    if not task.conditional:
        return defaults
    conditions: dict[str, Any] = spec_of(task)["exitConditions"]
    return {**defaults, **_matching(task, conditions, ok=ok)}


def _matching(task: Task, conditions: Mapping[str, Any], *, ok: bool) -> Mapping[str, Any]:
    code = (task.failure or {}).get("code", "")
    if code.startswith("FileUpload") and "fileUploadError" in conditions:
        found: Mapping[str, Any] = conditions["fileUploadError"]
        return found
    if task.exit_code is None and not ok and code != "TaskEnded":
        early: Mapping[str, Any] = conditions.get(
            "preProcessingError", conditions.get("default", {})
        )
        return early
    for mapping in conditions.get("exitCodes", ()):
        if mapping["code"] == task.exit_code:
            exact: Mapping[str, Any] = mapping["exitOptions"]
            return exact
    for mapping in conditions.get("exitCodeRanges", ()):
        if task.exit_code is not None and mapping["start"] <= task.exit_code <= mapping["end"]:
            ranged: Mapping[str, Any] = mapping["exitOptions"]
            return ranged
    rest: Mapping[str, Any] = {} if ok else conditions.get("default", {})
    return rest


def satisfies(task: Task) -> bool:
    """Whether a completed task lets its dependents run."""
    return bool(exit_options(task)["dependencyAction"] == "satisfy")


# What clients ask for


def touch(core: Core, task: Task) -> None:
    """A client changed the task: its ETag changes."""
    task.modified = max(core.now, task.modified + 1)
    core.save(task)


def terminate(core: Core, task: Task) -> None:
    """Ends a task at a client's request.

    Raises:
        Refused: `TaskCompleted`.
    """
    if task.state == "completed":
        raise Refused("TaskCompleted")
    touch(core, task)
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
        depend(task, spec_of(task).get("dependsOn") or {})
    touch(core, task)
    queue(core, task)


def delete(core: Core, task: Task) -> None:
    """Removes a task; one that runs is ended, then its directory goes."""
    attempt = task.attempt
    _detach(task)
    remove_task(task)
    if attempt is not None:
        task.attempt = attempt.task = None
        call_off(core, attempt, "delete")
    if task.files:
        core.effects.append(effects.RemoveFiles(task))
    core.forget(task)
    core.check[task.job] = None
