"""Attempts: slots of a node taken for a run of something, and given back."""

from __future__ import annotations

from emulator.engine.core import Core
from emulator.engine.indexes import reindex, set_node_state
from emulator.engine.world import WORK, Attempt, Job, Node, Task
from emulator.nodes.interface import TaskKind


def new_attempt(
    core: Core,
    kind: TaskKind,
    node: Node,
    *,
    job: Job | None = None,
    task: Task | None = None,
    task_id: str = "",
    slots: int = 0,
    instance: int = 0,
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
        instance=instance,
    )
    core.attempts[attempt.id] = attempt
    node.attempts[attempt.id] = attempt
    node.used += slots
    if job is not None:
        job.attempts[attempt.id] = attempt
    if kind in WORK:
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
    if node.state == "running" and not any(a.kind in WORK for a in node.attempts.values()):
        set_node_state(node, "idle", core.now)
    else:
        reindex(node)
    core.wake[attempt.pool.key] = None
    core.vacated[node] = None
