"""`$expand=stats`: what pools, jobs, tasks and job schedules used, as the service writes it.

Figures are of this instant. Nobody measures the network and the disks' filling of a
directory that is a node: those members are absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.engine import statistics
from emulator.engine.statistics import Totals
from emulator.engine.world import Job, Pool, Schedule, Task
from emulator.service.call import Call
from emulator.service.values import instant
from emulator.spans import span

_GIB = 2**30
Figures = Callable[[int], dict[str, Any]]
"""The figures at an instant."""


def expand(
    call: Call, entity: dict[str, Any], names: frozenset[str] | None, figures: Figures
) -> dict[str, Any]:
    """An entity with its `stats`, if the client asks for them: by `$select`, or without one.

    Source: the rules of `$expand` in
    https://learn.microsoft.com/azure/batch/batch-efficient-list-queries, and recordings, where
    `$select=id,state` keeps them out.
    """
    expanded = [name.strip().lower() for name in call.query.get("$expand", "").split(",")]
    if "stats" in expanded if names is None else "stats" in names:
        entity["stats"] = figures(call.host.run(lambda core: core.now))
    return entity


def _times(since: int, now: int) -> dict[str, Any]:
    return {"startTime": instant(since), "lastUpdateTime": instant(now)}


def _used(totals: Totals) -> dict[str, Any]:
    return {
        "userCPUTime": span(totals.user),
        "kernelCPUTime": span(totals.kernel),
        "wallClockTime": span(totals.wall),
        "readIOps": str(totals.reads),
        "writeIOps": str(totals.writes),
        "readIOGiB": totals.bytes_read / _GIB,
        "writeIOGiB": totals.bytes_written / _GIB,
    }


def _of_many(totals: Totals) -> dict[str, Any]:
    return {
        **_used(totals),
        "numTaskRetries": str(totals.retries),
        "numSucceededTasks": str(totals.succeeded),
        "numFailedTasks": str(totals.failed),
        "waitTime": span(totals.wait),
    }


def task(base: str, task: Task) -> Figures:
    """Of a task."""
    url = f"{base}/jobs/{task.job.id}/tasks/{task.id}"

    def figures(now: int) -> dict[str, Any]:
        totals = statistics.of_task(task, now)
        return {
            "url": url,
            **_times(task.created, now),
            **_used(totals),
            "waitTime": span(totals.wait),
        }

    return figures


def job(base: str, job: Job) -> Figures:
    """Of a job: the sums of its tasks."""
    return lambda now: {
        "url": f"{base}/jobs/{job.id}",
        **_times(job.created, now),
        **_of_many(statistics.of_job(job, now)),
    }


def schedule(call: Call, schedule: Schedule) -> Figures:
    """Of a job schedule: the sums of its jobs."""
    return lambda now: {
        "url": f"{call.base}/jobschedules/{schedule.id}",
        **_times(schedule.created, now),
        **_of_many(statistics.of_schedule(call.host.world, schedule, now)),
    }


def pool(base: str, pool: Pool) -> Figures:
    """Of a pool: what its nodes were there for, and what tasks used of them."""

    def figures(now: int) -> dict[str, Any]:
        found = statistics.of_pool(pool, now)
        times = _times(pool.created, now)
        used = found.tasks
        return {
            "url": f"{base}/pools/{pool.id}",
            **times,
            "usageStats": {**times, "dedicatedCoreTime": span(found.dedicated_core_time)},
            "resourceStats": {
                "startTime": times["startTime"],
                "diskReadIOps": str(used.reads),
                "diskWriteIOps": str(used.writes),
                "lastUpdateTime": times["lastUpdateTime"],
                "avgCPUPercentage": _share(100 * (used.user + used.kernel), found.core_time),
                "peakMemoryGiB": found.peak_memory / _GIB,
                "diskReadGiB": used.bytes_read / _GIB,
                "diskWriteGiB": used.bytes_written / _GIB,
            },
        }

    return figures


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
