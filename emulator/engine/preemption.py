"""Tasks that give way: of jobs with `allowTaskPreemption`, to jobs of higher priority.

A task that waits in a job of higher priority, and has no room, takes it from running tasks
of jobs that allow that: those are requeued, the lowest priority first, and no more of them
than are needed. The room is there when they have ended; until then it counts as taken for.

Source: `allowTaskPreemption` of `BatchJobCreateOptions`. Which tasks give way, the service
does not say.
"""

from __future__ import annotations

from itertools import islice

from emulator.engine import tasks
from emulator.engine.core import Core
from emulator.engine.indexes import takes_tasks
from emulator.engine.placement import may_have, room
from emulator.engine.world import Attempt, Job, Node, Pool, Task


def make_room(core: Core, pool: Pool, waiting: list[Job]) -> None:
    """Calls off what must give way to the tasks that could not be placed.

    Args:
        core: The engine's state.
        pool: Which.
        waiting: Jobs with tasks that wait for it, the highest priority first.
    """
    jobs = core.world.jobs_of_pool.get(pool.key, {}).values()
    if not any(job.body["allowTaskPreemption"] and job.attempts for job in jobs):
        return
    coming = {node: _coming(node) for node in pool.nodes.values() if takes_tasks(node)}
    for job in waiting:
        for task in _next(job):
            _for_task(core, pool, task, coming)


def _coming(node: Node) -> int:
    """Slots that are free, or will be when what was called off has ended."""
    ending = sum(a.slots for a in node.attempts.values() if a.intent)
    return node.pool.slots - node.used + ending


def _next(job: Job) -> list[Task]:
    """The tasks of a job that may start next, as many as it may have at a time."""
    limit = job.body["maxParallelTasks"]
    room = None if limit < 0 else max(0, limit - job.counts.running)
    waits = (task for queue in job.ready.values() for order, task in queue if task.order == order)
    return sorted(islice(waits, _MOST), key=lambda task: task.order)[:room]


_MOST = 1000
"""Tasks of a job that are looked at in one round: more nodes than that do not change at once."""


def _for_task(core: Core, pool: Pool, task: Task, coming: dict[Node, int]) -> None:
    needed = room(pool, task)
    if needed is None:
        return
    slots, count = needed
    usable = [
        (node, found)
        for node, free in coming.items()
        if may_have(node, task) and (found := _victims(node, task.job, slots - free)) is not None
    ]
    if len(usable) < count:
        return
    usable.sort(key=lambda offer: (len(offer[1]), [v.job.priority for v in offer[1] if v.job]))
    for node, victims in usable[:count]:
        for victim in victims:
            coming[node] += victim.slots
            tasks.call_off(core, victim, "requeue")
        coming[node] -= slots


def _victims(node: Node, job: Job, missing: int) -> list[Attempt] | None:
    """What has to go from a node for so many slots; None where that is not enough."""
    found: list[Attempt] = []
    for attempt in sorted(
        (a for a in node.attempts.values() if _gives_way(a, job)),
        key=lambda a: (a.job.priority if a.job else 0, -a.id),
    ):
        if missing <= 0:
            break
        found.append(attempt)
        missing -= attempt.slots
    return found if missing <= 0 else None


def _gives_way(attempt: Attempt, job: Job) -> bool:
    of = attempt.job
    if of is None or attempt.task is None or not attempt.slots or attempt.intent:
        return False
    return bool(of.body["allowTaskPreemption"]) and of.priority < job.priority
