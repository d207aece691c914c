"""Which task goes to which node: priority, fairness between equals, slots, fill type."""

from __future__ import annotations

from collections import deque
from itertools import groupby

from emulator.engine import jobs, tasks
from emulator.engine.core import Core
from emulator.engine.world import Job, Node, Pool, Task, heads, set_task_state


def assign(core: Core, pool: Pool) -> None:
    """Places tasks until the pool has no slot, or no task, for the other."""
    if not pool.free or pool.state != "active":
        return
    waiting = [
        job
        for job in core.world.jobs_of_pool.get(pool.key, {}).values()
        if job.ready_count and job.state == "active"
    ]
    if not waiting:
        return
    policy = pool.body["taskSchedulingPolicy"]
    in_turn = policy["jobDefaultOrder"] == "none"
    waiting.sort(key=lambda job: (-job.priority, job.served if in_turn else 0, job.seq))
    pack = policy["nodeFillType"] == "Pack"
    for _, equals in groupby(waiting, key=lambda job: job.priority):
        ring = deque(equals)
        while ring and pool.free:
            job = ring[0]
            if not _place_one(core, pool, job, pack=pack):
                ring.popleft()
            elif in_turn:
                job.served = core.next_number()
                ring.rotate(-1)


def _place_one(core: Core, pool: Pool, job: Job, *, pack: bool) -> bool:
    limit = job.body["maxParallelTasks"]
    if 0 <= limit <= len(job.attempts):
        return False
    task = _next_task(job, max(pool.free))
    if task is None:
        return False
    node = _node_for(pool, task, pack=pack)
    if node is None:
        return False
    attempt = tasks.place(core, task, node)
    if jobs.prepare(core, job, node, attempt):
        tasks.run(core, attempt)
    else:
        set_task_state(task, "preparing", core.now)
        core.save(task)
    return True


def _next_task(job: Job, most_free: int) -> Task | None:
    """The task whose turn it is, among those that fit into the slots of some node."""
    return min(heads(job, most_free), key=lambda task: task.order, default=None)


def _node_for(pool: Pool, task: Task, *, pack: bool) -> Node | None:
    """The node for a task: where it wants to be, else the fullest or the emptiest."""
    if task.affinity:
        wanted = pool.nodes.get(task.affinity.removeprefix("TVM:"))
        if wanted and wanted.free_level >= task.slots and not jobs.barred(task.job, wanted):
            return wanted
    levels = sorted((level for level in pool.free if level >= task.slots), reverse=not pack)
    for level in levels:
        for node in pool.free[level]:
            if not jobs.barred(task.job, node):
                return node
    return None
