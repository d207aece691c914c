"""Records as rows: what of the world survives a restart, and the world made of it again.

A row is a record's key, what a client wrote, and the service's fields as a JSON list in
the order of the tables below: append to a table, never reorder it, and count up
`VERSION`, which the store keeps. A row of an earlier version is shorter: what it lacks is
what a new record begins with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from emulator.engine import jobs, nodes, pools, scaling, tasks
from emulator.engine.core import Core, Record
from emulator.engine.indexes import add_node, add_task, set_node_state
from emulator.engine.task_specs import spec_of
from emulator.engine.world import Job, Node, Pool, Schedule, Subtask, Task, Timing

VERSION = 2

Kind = Literal["pool", "node", "job", "task", "schedule"]
_POOL = (
    "id", "created", "modified", "since", "state", "identity", "allocation", "allocation_since",
    "target_dedicated", "target_spot", "resize_timeout", "deallocation_option", "resize_errors",
    "autoscale", "formula", "interval", "scale_run", "scaled", "next_address",
    "network", "gone", "gone_time", "peak_memory",
)  # fmt: skip
_NODE = (
    "id", "dedicated", "state", "since", "ip", "allocated", "scheduling", "booted", "total_run",
    "total_succeeded", "start_task", "start_info", "errors", "leaving",
    "used_by_tasks", "peak_memory", "users",
)  # fmt: skip
_JOB = (
    "id", "pool_id", "created", "modified", "since", "seq", "state", "previous",
    "previous_since", "started", "ended", "terminate_reason", "scheduling_error", "auto_pool",
    "wall_clock", "schedule", "gone",
)  # fmt: skip
_TASK = (
    "id", "seq", "slots", "max_retries", "retention", "created", "modified", "since", "state",
    "previous", "previous_since", "start", "end", "exit_code", "failure", "result",
    "retry_count", "last_retry", "requeue_count", "last_requeue", "pool_id", "node_id",
    "conditional", "affinity", "files", "instances", "subtasks", "manager", "used",
)  # fmt: skip
_SCHEDULE = (
    "id", "timing", "wall_clock", "retention", "created", "modified", "since", "seq", "state",
    "previous", "previous_since", "runs", "next_run", "due", "job", "pool_id", "ended", "gone",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A record in the store: `parent` is the key of a node's pool or of a task's job."""

    kind: Kind
    parent: str
    key: str
    body: bytes
    state: bytes


class DamagedRecordsError(Exception):
    """Rows that are no records, or not those of one world."""


def key_of(record: Record) -> tuple[Kind, str, str]:
    """Where a record is in the store."""
    match record:
        case Task():
            return "task", record.job.key, record.key
        case Node():
            return "node", record.pool.key, record.id
        case Job():
            return "job", "", record.key
        case Pool():
            return "pool", "", record.key
        case Schedule():
            return "schedule", "", record.key


def row_of(record: Record) -> Row:
    """A record as it is stored."""
    kind, parent, key = key_of(record)
    names: tuple[str, ...]
    match record:
        case Task():
            body, names = record.spec, _TASK
        case Node():
            body, names = b"", _NODE
        case Job():
            body, names = orjson.dumps(record.body), _JOB
        case Pool():
            body, names = orjson.dumps(record.body), _POOL
        case Schedule():
            body, names = orjson.dumps(record.body), _SCHEDULE
    return Row(kind, parent, key, body, orjson.dumps([getattr(record, n) for n in names]))


def restore(core: Core, rows: Iterable[Row]) -> None:
    """Makes the world of an account from its rows.

    Nothing runs any more: nodes that were up reboot, and their tasks are requeued, as
    the service does when a node restarts. Transitions that were under way are taken up.

    Raises:
        DamagedRecordsError: A row is no record, or what it belongs to is not there.
    """
    # Otherwise the nodes that come now would get the ids of those that came before.
    core.random.seed(f"{core.settings.seed}/{core.world.account}/{core.now}")
    try:
        _read(core, rows)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRecordsError(f"{type(error).__name__}: {error}") from error
    # What fails from here on is a defect of the engine, for which no state is given up.
    _resume(core)


def _read(core: Core, rows: Iterable[Row]) -> None:
    by_kind: dict[Kind, list[tuple[Row, list[Any]]]] = {
        "pool": [],
        "node": [],
        "job": [],
        "task": [],
        "schedule": [],
    }
    for row in rows:
        by_kind[row.kind].append((row, orjson.loads(row.state)))
    for row, values in by_kind["pool"]:
        pool = Pool(**_fields(_POOL, values), key=row.key, body=_body(row))
        pool.network = pool.network or pools.free_network(core)
        core.world.add_pool(pool)
    for row, values in by_kind["node"]:
        pool = core.world.pools[row.parent]
        add_node(pool, Node(**_fields(_NODE, values), pool=pool))
    for row, values in by_kind["schedule"]:
        fields = _fields(_SCHEDULE, values)
        fields["timing"] = Timing(**fields["timing"])
        schedule = Schedule(**fields, key=row.key, body=_body(row))
        core.world.schedules[schedule.key] = schedule
        core.number_at_least(schedule.seq)
        core.look_at[schedule] = None
    for row, values in sorted(by_kind["job"], key=lambda pair: pair[1][5]):
        fields = _fields(_JOB, values)
        job = Job(**fields, key=row.key, pool_key=fields["pool_id"].lower(), body=_body(row))
        core.world.add_job(job)
        core.number_at_least(job.seq)
    for row, values in sorted(by_kind["task"], key=lambda pair: pair[1][1]):
        job = core.world.jobs[row.parent]
        fields = _fields(_TASK, values)
        fields["subtasks"] = [Subtask(**one) for one in fields.get("subtasks", ())] or ()
        key = fields["id"] if fields["id"] == row.key else row.key
        task = Task(**fields, key=key, job=job, spec=row.body)
        add_task(job, task)
        core.number_at_least(task.seq)


def _body(row: Row) -> dict[str, Any]:
    body = orjson.loads(row.body)
    if not isinstance(body, dict):
        raise TypeError(f"the body of {row.kind} {row.key} is no object")
    return body


def _fields(table: tuple[str, ...], values: list[Any]) -> dict[str, Any]:
    if not isinstance(values, list):
        raise TypeError(f"the fields of a record are no {type(values).__name__}")
    return dict(zip(table[: len(values)], values, strict=True))


def _resume(core: Core) -> None:
    for pool in core.world.pools.values():
        for node in pool.nodes.values():
            _resume_node(core, node)
        _resume_pool(core, pool)
    for job in core.world.jobs.values():
        for task in job.tasks.values():
            _resume_task(core, task)
        jobs.limit_wall_clock(core, job, job.wall_clock)
        core.check[job] = None


def _resume_pool(core: Core, pool: Pool) -> None:
    if pool.state == "deleting":
        pools.settle(core, pool)
        return
    if pool.allocation != "steady":
        targets = pool.target_dedicated, pool.target_spot
        pools.retarget(core, pool, targets, pool.deallocation_option)
    if pool.autoscale:
        scaling.resume(core, pool)


def _resume_node(core: Core, node: Node) -> None:
    if node.leaving:
        node.leaving = ""
        nodes.leave(core, node, "requeue")
    elif node.state not in {"deallocated", "preempted", "unusable"}:
        set_node_state(node, "rebooting", core.now)
        nodes.reboot(core, node)
    elif node.state == "preempted":
        nodes.wait_for_return(core, node)
    core.save(node)


def _resume_task(core: Core, task: Task) -> None:
    if task.state == "completed":
        tasks.keep_files(core, task, since=task.end)
        return
    if task.job.body["usesTaskDependencies"]:
        tasks.depend(task, spec_of(task))
    if task.state == "active":
        tasks.queue(core, task)
    else:
        tasks.requeue(core, task)
