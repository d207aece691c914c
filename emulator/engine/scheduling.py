"""Which task goes to which node: priority, fairness between equals, slots, fill type."""

from __future__ import annotations

from collections import deque
from itertools import groupby

from emulator.engine import jobs, preemption, tasks
from emulator.engine.core import Core
from emulator.engine.indexes import heads, set_task_state
from emulator.engine.placement import may_have, room
from emulator.engine.world import Job, Node, Pool, Task


def assign(core: Core, pool: Pool) -> None:
    """Places tasks until the pool has no slot, or no task, for the other."""
    if pool.state != "active" or not pool.nodes:
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
    preemption.make_room(core, pool, [job for job in waiting if job.ready_count])


def _place_one(core: Core, pool: Pool, job: Job, *, pack: bool) -> bool:
    limit = job.body["maxParallelTasks"]
    if 0 <= limit <= job.counts.running:
        return False
    for task in heads(job, max(pool.free), len(pool.free.get(pool.slots, ()))):
        nodes = _nodes_for(pool, task, pack=pack)
        if nodes:
            _place(core, task, nodes)
            return True
    return False


def _place(core: Core, task: Task, nodes: list[Node]) -> None:
    attempts = tasks.place(core, task, nodes)
    prepared = [jobs.prepare(core, task.job, a.node, a) for a in attempts]
    if not prepared[0]:
        set_task_state(task, "preparing", core.now)
        core.save(task)
    for attempt, ready in zip(attempts, prepared, strict=True):
        if ready:
            tasks.run(core, attempt)


def _nodes_for(pool: Pool, task: Task, *, pack: bool) -> list[Node]:
    """The nodes for a task: where it wants to be, else the fullest or the emptiest; or none."""
    needed = room(pool, task)
    if needed is None:
        return []
    slots, count = needed
    if task.affinity and count == 1:
        wanted = pool.nodes.get(task.affinity.removeprefix("TVM:"))
        if wanted and wanted.free_level >= slots and may_have(wanted, task):
            return [wanted]
    found: list[Node] = []
    for level in sorted((level for level in pool.free if level >= slots), reverse=not pack):
        for node in pool.free[level]:
            if may_have(node, task):
                found.append(node)
                if len(found) == count:
                    return found
    return []
