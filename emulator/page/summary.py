"""What the page shows, as JSON objects made from a world; nothing is changed.

The overview is asked for every second, so it stays small however much there is: counts
for everything, details of the first `NODES` nodes of a pool and of the `JOBS` jobs that
changed last. Instants are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal

from emulator.engine.world import Job, Node, Pool, Task, World
from emulator.service.values import instant

NODES = 2_000
"""Of a pool that are shown one by one."""
JOBS = 100
TASKS = 100
DECISIONS = 20
SAMPLES = 120
"""Points of a pool's chart: an hour of service time."""

TaskGroup = Literal["all", "active", "running", "succeeded", "failed"]
TASK_GROUPS: tuple[TaskGroup, ...] = ("all", "active", "running", "succeeded", "failed")

_IN_GROUP: dict[TaskGroup, Callable[[Task], bool]] = {
    "all": lambda _: True,
    "active": lambda task: task.state == "active",
    "running": lambda task: task.state in {"preparing", "running"},
    "succeeded": lambda task: task.result == "success",
    "failed": lambda task: task.result == "failure",
}


def account(world: World) -> dict[str, Any]:
    """An account with its pools, by id, and its jobs, the one that changed last first."""
    jobs = sorted(world.jobs.values(), key=lambda job: (job.since, job.seq), reverse=True)
    return {
        "name": world.account,
        "pools": [_pool(pool) for _, pool in sorted(world.pools.items())],
        "jobs": [_job(job) for job in jobs[:JOBS]],
        "jobCount": len(jobs),
    }


def _pool(pool: Pool) -> dict[str, Any]:
    states: dict[str, int] = {}
    for (_, state), number in pool.counts.items():
        if number:
            states[state] = states.get(state, 0) + number
    return {
        "id": pool.id,
        "vmSize": pool.body["vmSize"],
        "slots": pool.slots,
        "state": pool.state,
        "allocation": pool.allocation,
        "dedicated": {"current": pool.current[True], "target": pool.target_dedicated},
        "spot": {"current": pool.current[False], "target": pool.target_spot},
        "errors": [f"{error['code']}: {error['message']}" for error in pool.resize_errors],
        "states": dict(sorted(states.items())),
        "nodes": [
            [node.id, node.state, node.dedicated, node.used]
            for node in islice(pool.nodes.values(), NODES)
        ],
        "autoscale": _autoscale(pool) if pool.autoscale else None,
    }


def _autoscale(pool: Pool) -> dict[str, Any]:
    return {
        "formula": pool.formula,
        "decisions": [
            {
                **decision,
                "at": instant(decision["at"]),
                "error": _failure(decision["error"]),
            }
            for decision in islice(reversed(pool.decisions), DECISIONS)
        ],
        "samples": _samples(pool),
    }


def _samples(pool: Pool) -> list[tuple[str, float, float]]:
    """(instant, nodes, tasks that run or wait), oldest first."""
    names = ("$CurrentDedicatedNodes", "$CurrentLowPriorityNodes", "$PendingTasks")
    series = [[*islice(reversed(pool.samples.get(name, ())), SAMPLES)][::-1] for name in names]
    return [
        (instant(at), dedicated + spot, pending)
        for (at, dedicated), (_, spot), (_, pending) in zip(*series, strict=True)
    ]


def _job(job: Job) -> dict[str, Any]:
    counts = job.counts
    return {
        "id": job.id,
        "pool": job.pool_id,
        "state": job.state,
        "since": instant(job.since),
        "priority": job.priority,
        "reason": job.terminate_reason,
        "error": _failure(job.scheduling_error),
        "tasks": {
            "active": counts.active,
            "running": counts.running,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
        },
    }


def _failure(failure: dict[str, Any] | None) -> str | None:
    return f"{failure['code']}: {failure['message']}" if failure else None


def tasks(job: Job, group: TaskGroup) -> dict[str, Any]:
    """A job's tasks, the one that changed its state last first, at most `TASKS`."""
    chosen = _IN_GROUP[group]
    newest: Iterator[Task] = (job.tasks[key] for key in reversed(job.by_transition))
    shown = islice((task for task in newest if chosen(task)), TASKS)
    return {"job": _job(job), "tasks": [_task(task) for task in shown]}


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "state": task.state,
        "since": instant(task.since),
        "result": task.result,
        "exitCode": task.exit_code,
        "node": task.node_id,
        "failure": _failure(task.failure),
    }


def task(task: Task, spec: dict[str, Any]) -> dict[str, Any]:
    """A task with its command line and how it fares.

    Args:
        task: The task.
        spec: What its client wrote.
    """
    return {
        **_task(task),
        "job": task.job.id,
        "pool": task.pool_id,
        "commandLine": spec.get("commandLine", ""),
        "slots": task.slots,
        "start": None if task.start is None else instant(task.start),
        "end": None if task.end is None else instant(task.end),
        "retries": task.retry_count,
        "requeues": task.requeue_count,
        "waitsFor": task.unmet,
        "files": task.files,
    }


def node(node: Node) -> dict[str, Any]:
    """A node with what runs on it and what is wrong with it."""
    start = node.start_info or {}
    return {
        "id": node.id,
        "pool": node.pool.id,
        "state": node.state,
        "since": instant(node.since),
        "dedicated": node.dedicated,
        "scheduling": node.scheduling,
        "slots": node.pool.slots,
        "used": node.used,
        "tasksRun": node.total_run,
        "startTask": {"state": start.get("state"), "exitCode": start.get("exitCode")}
        if node.start_task
        else None,
        "errors": [f"{error['code']}: {error['message']}" for error in node.errors],
        "runs": [
            {"job": attempt.job.id, "task": attempt.task_id, "kind": attempt.kind}
            for attempt in node.attempts.values()
            if attempt.job is not None
        ],
    }
