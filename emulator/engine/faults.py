"""Troubles of the service's own that somebody asks for, beside those in `nodes`.

Capacity and quotas that are set here are those of a running emulator: a restart has the
usual ones again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emulator.engine import nodes
from emulator.engine.core import Core
from emulator.engine.failures import wire_failure
from emulator.engine.indexes import set_node_state
from emulator.engine.refusal import Refused
from emulator.engine.world import Node, Pool
from emulator.nodes.failures import failure

_NO_CAPACITY = "The requested number of {} nodes could not be allocated: no capacity for {}"


def set_quotas(core: Core, quotas: Mapping[str, int]) -> None:
    """Changes quotas: members of `Settings` whose names begin with `max_`."""
    core.settings = replace(core.settings, **quotas)


def set_capacity(core: Core, vm_size: str, dedicated: int | None, spot: int | None) -> None:
    """Says how many nodes of a size there are, over all pools; None for no end of them."""
    for kind, most in ((True, dedicated), (False, spot)):
        if most is None:
            core.world.capacity.pop((vm_size, kind), None)
        else:
            core.world.capacity[vm_size, kind] = most


def capacity_left(core: Core, pool: Pool, *, dedicated: bool) -> int | None:
    """How many more nodes of a pool's size there are; None for no end of them."""
    size = pool.body["vmSize"]
    most = core.world.capacity.get((size, dedicated))
    if most is None:
        return None
    used = sum(
        other.current[dedicated]
        for other in core.world.pools.values()
        if other.body["vmSize"] == size
    )
    return max(0, most - used)


def no_capacity(pool: Pool, *, dedicated: bool) -> dict[str, Any]:
    """The resize error of a pool whose size is not to be had."""
    kind = "dedicated" if dedicated else "low priority"
    return {
        "code": "AllocationFailed",
        "message": _NO_CAPACITY.format(kind, pool.body["vmSize"]),
    }


def fail_start_task(core: Core, node: Node, exit_code: int) -> None:
    """Has a node's start task fail for good; what runs there is requeued.

    Raises:
        Refused: The node has no start task, or is not up.
    """
    if node.start_task is None or node.booted is None or node.leaving:
        raise Refused("OperationInvalidForCurrentState")
    nodes.end_attempts(core, node, "lost")
    node.start_info = {
        "state": "completed",
        "startTime": node.booted,
        "endTime": core.now,
        "exitCode": exit_code,
        "failureInfo": wire_failure(
            failure("FailureExitCode", Message=f"The exit code was {exit_code}")
        ),
        "result": "failure",
        "retryCount": 0,
    }
    set_node_state(node, "starttaskfailed", core.now)
    core.save(node)
