"""Nodes in pools and tasks in jobs: put in, taken out and moved from state to state.

Every count and index that `emulator.engine.world` has over them (nodes by state and by free
slots, tasks by state, by key and by transition, what waits for a slot) is kept here, without a
walk through the others, so that the hundred thousandth task costs what the first one does.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from emulator.engine.world import SCHEDULABLE, Job, Node, NodeState, Pool, Task, TaskState


def add_node(pool: Pool, node: Node) -> None:
    """Puts a new node in its pool."""
    pool.nodes[node.id] = node
    pool.current[node.dedicated] += 1
    _count(pool, node, 1)


def remove_node(pool: Pool, node: Node) -> None:
    """Takes a node out of its pool."""
    _unindex(node)
    _count(pool, node, -1)
    pool.current[node.dedicated] -= 1
    del pool.nodes[node.id]


def set_node_state(node: Node, state: NodeState, now: int) -> None:
    """Changes a node's state, its pool's counts and whether it may take tasks."""
    if node.state != state:
        _count(node.pool, node, -1)
        node.state, node.since = state, now
        _count(node.pool, node, 1)
    reindex(node)


def takes_tasks(node: Node) -> bool:
    """Whether tasks may be placed on a node, if it has slots for them."""
    stays = not node.leaving and not node.after_tasks
    return stays and node.scheduling == "enabled" and node.state in SCHEDULABLE


def reindex(node: Node) -> None:
    """Files a node under the slots that it has free, if it may take tasks."""
    _unindex(node)
    free = node.pool.slots - node.used
    if free > 0 and takes_tasks(node):
        node.pool.free.setdefault(free, {})[node] = None
        node.free_level = free


def _unindex(node: Node) -> None:
    if node.free_level >= 0:
        level = node.pool.free[node.free_level]
        del level[node]
        if not level:
            del node.pool.free[node.free_level]
        node.free_level = -1


def _count(pool: Pool, node: Node, by: int) -> None:
    key = (node.dedicated, node.state)
    pool.counts[key] = pool.counts.get(key, 0) + by


def add_task(job: Job, task: Task) -> None:
    """Puts a new task in its job."""
    job.tasks[task.key] = task
    job.order.add(task.key)
    _count_task(task, 1)


def remove_task(task: Task) -> None:
    """Takes a task out of its job."""
    unqueue(task)
    _count_task(task, -1)
    task.job.order.discard(task.key)
    task.job.by_transition.pop(task.key, None)
    del task.job.tasks[task.key]


def set_task_state(task: Task, state: TaskState, now: int) -> None:
    """Changes a task's state, its job's counts and indexes."""
    _count_task(task, -1)
    task.previous, task.previous_since = task.state, task.since
    task.state, task.since = state, now
    _count_task(task, 1)


def _count_task(task: Task, by: int) -> None:
    job = task.job
    index = job.by_state[task.state]
    if by > 0:
        index.add(task.key)
        job.by_transition.pop(task.key, None)
        job.by_transition[task.key] = None
    else:
        index.discard(task.key)
    for counts, amount in ((job.counts, by), (job.slot_counts, by * task.slots)):
        if task.state == "active":
            counts.active += amount
        elif task.state != "completed":
            counts.running += amount
        elif task.result == "success":
            counts.succeeded += amount
        else:
            counts.failed += amount


def demand(task: Task) -> int:
    """What a task needs to be placed.

    Returns:
        So many slots of a node; 0 for a whole node; below 0 for so many whole nodes.
    """
    if task.instances:
        return -task.instances
    return 0 if task.manager and manager_settings(task.job)["runExclusive"] else task.slots


def manager_settings(job: Job) -> dict[str, Any]:
    """The job's manager task, as its client wrote it."""
    settings: dict[str, Any] = job.body["jobManagerTask"]
    return settings


def enqueue(task: Task, order: int) -> None:
    """Lets a task wait for a slot; a job's manager goes before its other tasks."""
    queue = task.job.ready.setdefault(demand(task), deque())
    task.queued, task.order = "ready", -order if task.manager else order
    if task.manager:
        queue.appendleft((task.order, task))
    else:
        queue.append((task.order, task))
    task.job.ready_count += 1


def unqueue(task: Task) -> None:
    """Takes a task from wherever it waits; its entry in a queue is passed over later."""
    if task.queued == "ready":
        task.job.ready_count -= 1
    task.queued, task.order = "", 0


def heads(job: Job, most_slots: int, whole_nodes: int) -> list[Task]:
    """Of each demand that could be met the task that has waited longest, in their order.

    Args:
        job: Whose tasks.
        most_slots: Free on one node.
        whole_nodes: Nodes of which every slot is free.
    """
    found: list[Task] = []
    for needed, queue in list(job.ready.items()):
        while queue and queue[0][1].order != queue[0][0]:
            queue.popleft()
        if not queue:
            del job.ready[needed]
        elif needed <= most_slots if needed > 0 else max(1, -needed) <= whole_nodes:
            found.append(queue[0][1])
    found.sort(key=lambda task: task.order)
    return found
