"""`--dry-run`: the job as it would be sent."""

from __future__ import annotations

from collections import deque
from itertools import islice
from pathlib import Path

import orjson

from jobs.checking import Checked
from jobs.consent import most_per_hour
from jobs.contents import Contents
from jobs.errors import EXIT_OK
from jobs.plan import JobPlan, plan
from jobs.prices import money
from jobs.session import content_cache
from jobs.stage import contents_of
from jobs.terminal import Terminal, counted, size_text
from jobs.workflow import RunOptions, checked_workload, new_job_id

_PLANNED_BUILD = "not built yet: ids are provisional"


def describe(options: RunOptions, terminal: Terminal) -> int:
    """`--dry-run`: the job as it would be sent. Asks no service, builds nothing."""
    job, contents = planned(options)
    checked = job.checked
    tasks = job.tasks()
    first = list(islice(tasks, 2))
    last = list(deque(tasks, maxlen=1))
    pool = checked.pool
    sizes = sum(item.size for item in {c.sha256: c for c in contents.values()}.values())
    terminal.result(
        {
            "version": 1,
            "job": job.body,
            "tasks": job.count,
            "plan": job.digest,
            "provisional": job.unbuilt,
            "first_tasks": [orjson.loads(task.body) for task in first],
            "last_task": orjson.loads((last or first)[-1].body),
            "files": sorted(str(path) for path in contents),
            "bytes_to_stage_at_most": sizes,
            "pool": pool.model_dump(),
        }
    )
    slots = checked.stages[0].view.spec.resources.slots
    terminal.show(
        f"job      {job.job_id} on pool {pool.id}, stack {checked.stack.stack}",
        f"tasks    {job.count:,}, each {counted(slots, 'slot')}",
        f"files    {len(contents)}, {size_text(sizes)} to stage at most"
        + (f"; {_PLANNED_BUILD}" if job.unbuilt else ""),
        *(f"package  {one}" for one in checked.packages),
        f"nodes    {pool.min_nodes} to {pool.max_nodes} of {pool.vm_size}, {_price(checked)}",
    )
    for task in (*first, *last):
        line = orjson.loads(task.body)["commandLine"]
        terminal.show(f"task     {task.id}: {line}")
    terminal.show("", "Nothing was sent (--dry-run). The whole of it: --json")
    return EXIT_OK


def planned(options: RunOptions) -> tuple[JobPlan, dict[Path, Contents]]:
    """The job as it would be sent, and what is in its files. Builds and sends nothing.

    Raises:
        InputError: With every finding.
    """
    checked = checked_workload(options)
    with content_cache() as cache:
        contents = contents_of(checked, cache)
    job_id = options.job_id or new_job_id(checked.workload)
    return plan(checked, contents, job_id=job_id), contents


def _price(checked: Checked) -> str:
    pool = checked.pool
    price, most = pool.dedicated_price_per_hour, most_per_hour(pool)
    if price is None or most is None:
        return "price unknown"
    return (
        f"{money(price, pool.price_currency)} an hour each, "
        f"{money(most, pool.price_currency)} an hour at most"
    )
