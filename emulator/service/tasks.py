"""Handlers of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from emulator.clock import UNIX_EPOCH_TICKS
from emulator.engine import tasks
from emulator.engine.core import Core
from emulator.engine.refusal import Refused, invalid
from emulator.engine.task_specs import packed, spec_of
from emulator.engine.world import Job, Task
from emulator.service import bodies, render, statistics
from emulator.service.call import Call, Reply, changed
from emulator.service.errors import CATALOGUE
from emulator.service.jobs import find as find_job
from emulator.service.odata import Filter
from emulator.service.schema import malformed
from emulator.service.values import error_instant, etag, instant
from emulator.spans import parse_span

_INDEX_GAIN = 32
"""An index of transitions is used when it leaves at most one task in so many: to find that it
does not is wasted."""


def find(call: Call) -> Task:
    """The task that the path names."""
    return tasks.get(find_job(call), call.path["taskId"])


def to_change(call: Call) -> Task:
    """The task that the path names, if the conditional headers allow to change it."""
    task = find(call)
    call.check_conditions(task.modified)
    return task


def _add(core: Core, job: Job, body: dict[str, Any]) -> Task:
    return tasks.add(core, job, body, parse_span(body["constraints"]["retentionTime"]))


def add_task(call: Call) -> Reply:
    """POST /jobs/{jobId}/tasks."""
    body = call.body(bodies.task)
    task = call.host.run(_add, find_job(call), body)
    url = f"{call.base}/jobs/{task.job.id}/tasks/{task.id}"
    return Reply(status=201, modified=task.modified, service_id=url, location=url)


def add_task_collection(call: Call) -> Reply:
    """POST /jobs/{jobId}/addtaskcollection: each task stands or falls by itself."""
    items = call.body(bodies.task_collection)["value"]
    if not isinstance(items, list):
        raise malformed("An array is expected for 'value'.")
    if len(items) > bodies.MAX_TASKS_PER_COLLECTION:
        raise invalid(
            "value",
            len(items),
            f"At most {bodies.MAX_TASKS_PER_COLLECTION} tasks can be added at a time",
        )
    job = find_job(call)

    def add(core: Core) -> list[dict[str, Any]]:
        tasks.check_open(job)
        return [_add_item(call, core, job, item) for item in items]

    return Reply(body={"value": call.host.run(add)}, context="taskaddresult")


def _add_item(call: Call, core: Core, job: Job, item: Any) -> dict[str, Any]:
    given = str((item.get("id") if isinstance(item, dict) else None) or "")
    if call.fails_item is not None and call.fails_item():
        refused = Refused("InternalError")
        return {**_refused_item(call, core, job, given, refused), "status": "servererror"}
    try:
        task = _add(core, job, bodies.task(item, ""))
    except Refused as refused:
        return _refused_item(call, core, job, given, refused)
    return {
        "status": "Success",
        "taskId": task.id,
        "eTag": etag(task.modified),
        "lastModified": instant(task.modified),
        "location": f"{call.base}/jobs/{job.id}/tasks/{task.id}",
    }


def _refused_item(
    call: Call, core: Core, job: Job, task_id: str, refused: Refused
) -> dict[str, Any]:
    entry = CATALOGUE[refused.code]
    ids = f"\nRequestId:{call.request_id}\nTime:{error_instant(core.now)}"
    error: dict[str, Any] = {
        "code": refused.code,
        "message": {"lang": "en-US", "value": entry.message + ids},
    }
    if refused.values:
        error["values"] = [{"key": k, "value": v} for k, v in refused.values.items()]
    return {
        "error@odata.navigationLinkUrl": f"{call.base}/jobs/{job.id}/tasks/{task_id}/error",
        "error": error,
        "status": "ClientError",
        "taskId": task_id,
    }


def list_tasks(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks."""
    job = find_job(call)
    return call.listing(
        "tasks",
        render.TASK_MEMBERS,
        job.order.after,
        lambda key, names: _expanded(call, job.tasks[key], names),
        lambda found: _index(job, found),
    )


def _expanded(call: Call, task: Task, names: render.Names) -> dict[str, Any]:
    entity = render.task(call.base, task, names)
    return statistics.expand(call, entity, names, statistics.task(call.base, task))


def _index(job: Job, found: Filter) -> Callable[[str], Iterator[str]]:
    """The cheapest way to the tasks that a filter may let pass, in order of their keys."""
    one = found.equals.get("id")
    if one is not None:
        return lambda after: iter([one.lower()] if _has(job, one) and one.lower() > after else ())
    state = found.equals.get("state")
    ordered = job.by_state.get(str(state), job.order).after
    since = found.after.get("stateTransitionTime")
    if since is None or since <= UNIX_EPOCH_TICKS:
        return ordered
    recent = _changed_since(job, since)
    if recent is not None:
        return lambda after: (key for key in recent if key > after)
    return lambda after: (key for key in ordered(after) if job.tasks[key].since >= since)


def _has(job: Job, task_id: str) -> bool:
    return task_id.lower() in job.tasks


def _changed_since(job: Job, since: int) -> list[str] | None:
    """Keys of tasks whose state changed since, in order; None when those are too many."""
    most = len(job.tasks) // _INDEX_GAIN + 1
    keys: list[str] = []
    for key in reversed(job.by_transition):
        # Nodes report ends a little late: a later one may stand before an earlier one.
        if job.tasks[key].since < since - _LATE:
            break
        keys.append(key)
        if len(keys) > most:
            return None
    return sorted(keys)


_LATE = 600_000_000
"""A minute: far more than an end is reported late."""


def get_task(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks/{taskId}."""
    task = find(call)
    return call.entity(
        "tasks",
        render.TASK_MEMBERS,
        lambda names: _expanded(call, task, names),
        task.modified,
    )


def put_task(call: Call) -> Reply:
    """PUT /jobs/{jobId}/tasks/{taskId}: its constraints, and nothing else."""
    constraints = call.body(bodies.task_update)["constraints"]
    task = to_change(call)
    if "maxTaskRetryCount" not in constraints:
        retries = task.job.body["constraints"]["maxTaskRetryCount"]
        constraints = {**constraints, "maxTaskRetryCount": retries}

    def change(core: Core) -> None:
        if task.state == "completed":
            raise Refused("TaskCompleted")
        task.spec = packed({**spec_of(task), "constraints": constraints})
        task.max_retries = constraints["maxTaskRetryCount"]
        task.retention = parse_span(constraints["retentionTime"])
        core.touch(task)

    call.host.run(change)
    return changed(task)


def delete_task(call: Call) -> Reply:
    """DELETE /jobs/{jobId}/tasks/{taskId}."""
    call.host.run(tasks.delete, to_change(call))
    return Reply()


def terminate_task(call: Call) -> Reply:
    """POST /jobs/{jobId}/tasks/{taskId}/terminate."""
    task = to_change(call)
    call.host.run(tasks.terminate, task)
    return changed(task, 204)


def reactivate_task(call: Call) -> Reply:
    """POST /jobs/{jobId}/tasks/{taskId}/reactivate; the service sends no DataServiceId."""
    task = to_change(call)
    call.host.run(tasks.reactivate, task)
    return Reply(status=204, modified=task.modified)


def list_subtasks(call: Call) -> Reply:
    """GET .../subtasksinfo: a task that is not multi-instance has none."""
    task = find(call)
    value = [render.subtask(call.base, task, subtask) for subtask in task.subtasks]
    return Reply(body={"value": value}, context="subtaskinfo")
