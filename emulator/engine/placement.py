"""What a task needs of its pool, and which nodes may have it.

One answer for whoever places tasks (`scheduling`) and whoever makes room for them
(`preemption`): room that is made where a task may not go would be made again for ever.
"""

from __future__ import annotations

from emulator.engine import gangs, jobs
from emulator.engine.indexes import demand, manager_settings
from emulator.engine.world import Node, Pool, Task


def room(pool: Pool, task: Task) -> tuple[int, int] | None:
    """What a task needs: (slots of each node, nodes); None where the pool can never run it."""
    if task.instances and not gangs.possible(pool):
        return None
    needed = demand(task)
    return (needed, 1) if needed > 0 else (pool.slots, max(1, -needed))


def may_have(node: Node, task: Task) -> bool:
    """Whether a task may go to a node, if there is room for it."""
    spot = task.manager and not node.dedicated
    if spot and not manager_settings(task.job)["allowLowPriorityNode"]:
        return False
    return not jobs.barred(task.job, node)
