"""Transitions of pools: added, resized, changed, deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32

from emulator.engine import faults, nodes
from emulator.engine.core import Core
from emulator.engine.cores import cores_of
from emulator.engine.refusal import Refused, invalid
from emulator.engine.world import Node, Pool

_VICTIMS = (
    "unusable", "starttaskfailed", "creating", "starting", "waitingforstarttask", "preempted",
    "deallocated", "deallocating", "rebooting", "reimaging", "offline", "idle", "running",
)  # fmt: skip
"""Which nodes a shrinking pool gives up first."""
_STOPPED = "Desired number of {} nodes could not be allocated due to a stop resize operation"


def get(core: Core, pool_id: str) -> Pool:
    """The pool of an id.

    Raises:
        Refused: `PoolNotFound`.
    """
    pool = core.world.pools.get(pool_id.lower())
    if pool is None:
        raise Refused("PoolNotFound")
    return pool


def get_live(core: Core, pool_id: str) -> Pool:
    """The pool of an id, which is not being deleted.

    Raises:
        Refused: `PoolNotFound` or `PoolBeingDeleted`.
    """
    pool = get(core, pool_id)
    check_live(pool)
    return pool


def check_live(pool: Pool) -> None:
    """Refuses what a pool that is being deleted cannot take.

    Raises:
        Refused: `PoolBeingDeleted`.
    """
    if pool.state == "deleting":
        raise Refused("PoolBeingDeleted")


def add(
    core: Core,
    pool_id: str,
    body: dict[str, Any],
    *,
    targets: tuple[int, int],
    resize_timeout: int,
    identity: dict[str, Any] | None = None,
) -> Pool:
    """Adds a pool; it resizes at once, also to nothing.

    Raises:
        Refused: `PoolExists`, `PoolBeingDeleted` or `PoolQuotaReached`.
    """
    key = pool_id.lower()
    existing = core.world.pools.get(key)
    if existing is not None:
        raise Refused("PoolBeingDeleted" if existing.state == "deleting" else "PoolExists")
    if len(core.world.pools) >= core.settings.max_pools:
        raise Refused("PoolQuotaReached")
    check_shape(body)
    pool = Pool(
        id=pool_id,
        key=key,
        body=body,
        created=core.now,
        modified=core.now,
        since=core.now,
        identity=identity,
        resize_timeout=resize_timeout,
        network=free_network(core),
    )
    core.world.add_pool(pool)
    retarget(core, pool, targets, "requeue")
    return pool


def free_network(core: Core) -> int:
    """A block of addresses that no other pool of the account has.

    Accounts begin at different ones: on one machine their nodes should not meet.
    """
    taken = {pool.network for pool in core.world.pools.values()}
    first = crc32(core.world.account.encode()) % len(nodes.BLOCKS)
    turns = (nodes.BLOCKS[(first + turn) % len(nodes.BLOCKS)] for turn in range(len(nodes.BLOCKS)))
    return next(block for block in turns if block not in taken)


def check_shape(body: Mapping[str, Any]) -> None:
    """Refuses a pool that the service could not make.

    Raises:
        Refused: `InvalidPropertyValue`.
    """
    image = body.get("virtualMachineConfiguration")
    if image is None:
        raise Refused("MissingRequiredProperty", {"PropertyName": "virtualMachineConfiguration"})
    vm_size = body["vmSize"]
    if not re.fullmatch(r"[a-z0-9_-]+", vm_size):
        raise invalid("vmSize", vm_size, f"The specified vmSize {vm_size} is not supported.")


# Size


def resize(
    core: Core, pool: Pool, targets: tuple[int | None, int | None], option: str, timeout: int
) -> None:
    """Resizes at a client's request; a target that is None stays.

    Raises:
        Refused: The pool scales itself, or is being resized.
    """
    check_live(pool)
    if pool.autoscale:
        raise Refused("AutoScalingEnabled")
    if pool.allocation != "steady":
        raise Refused("PoolBeingResized")
    pool.resize_timeout = timeout
    core.touch(pool)
    dedicated, spot = targets
    retarget(
        core,
        pool,
        (
            pool.target_dedicated if dedicated is None else dedicated,
            pool.target_spot if spot is None else spot,
        ),
        option,
    )


def retarget(core: Core, pool: Pool, targets: tuple[int, int], option: str) -> None:
    """Begins a resize to the targets (dedicated, spot); one in progress gives way to it."""
    pool.target_dedicated, pool.target_spot = targets
    pool.deallocation_option = option
    pool.resize_errors = []
    pool.generation += 1
    _set_allocation(core, pool, "resizing")
    grows = any(pool.current[kind] < target for kind, target in _targets(pool))
    pool.growth_due = grows
    core.after(core.settings.resize_without_growth_s, _shrink, pool, pool.generation)
    if grows:
        ready_s = core.settings.node_ready_s(core.random)
        wait_s = ready_s * core.settings.allocation_share
        core.after(wait_s, _grow, pool, pool.generation)


def _targets(pool: Pool) -> tuple[tuple[bool, int], tuple[bool, int]]:
    return (True, pool.target_dedicated), (False, pool.target_spot)


def _set_allocation(core: Core, pool: Pool, state: Any) -> None:
    pool.allocation, pool.allocation_since = state, core.now
    core.save(pool)


def staying(pool: Pool, *, dedicated: bool) -> list[Node]:
    """Nodes of a kind that are not leaving."""
    return [n for n in pool.nodes.values() if n.dedicated is dedicated and not n.leaving]


def _shrink(core: Core, pool: Pool, generation: int) -> None:
    if pool.generation != generation:
        return
    for dedicated, target in _targets(pool):
        here = staying(pool, dedicated=dedicated)
        if len(here) > target:
            here.sort(key=lambda node: (_VICTIMS.index(node.state), node.used))
            for node in here[: len(here) - target]:
                nodes.leave(core, node, pool.deallocation_option)
    settle(core, pool)


def _grow(core: Core, pool: Pool, generation: int) -> None:
    if pool.generation != generation:
        return
    pool.growth_due = False
    room = core.settings.max_nodes - len(pool.nodes)
    for dedicated, target in _targets(pool):
        missing = target - len(staying(pool, dedicated=dedicated))
        left = faults.capacity_left(core, pool, dedicated=dedicated)
        within = min(room, _core_room(core, pool, dedicated=dedicated))
        granted = max(0, min(missing, within, missing if left is None else left))
        room -= granted
        for _ in range(granted):
            ready_s = core.settings.node_ready_s(core.random)
            nodes.create(core, pool, dedicated=dedicated, ready_s=ready_s)
        if left is not None and granted < missing and granted == left:
            pool.resize_errors.append(faults.no_capacity(pool, dedicated=dedicated))
        elif granted < missing:
            pool.resize_errors.append(
                {
                    "code": "AccountCoreQuotaReached"
                    if dedicated
                    else "AccountLowPriorityCoreQuotaReached",
                    "message": "The specified account has reached its quota of "
                    f"{'dedicated' if dedicated else 'low priority'} cores",
                }
            )
    settle(core, pool)


def _core_room(core: Core, pool: Pool, *, dedicated: bool) -> int:
    """How many more nodes of a pool the account's quota of cores allows."""
    settings = core.settings
    quota = settings.max_dedicated_cores if dedicated else settings.max_spot_cores
    used = sum(
        cores_of(other.body["vmSize"]) * other.current[dedicated]
        for other in core.world.pools.values()
    )
    return max(0, quota - used) // cores_of(pool.body["vmSize"])


def settle(core: Core, pool: Pool) -> None:
    """Ends a resize whose nodes have come and gone; ends a pool that is being deleted."""
    if pool.state == "deleting":
        if not pool.nodes:
            core.after(core.settings.pool_deletion_s, _gone, pool)
        return
    if pool.allocation == "steady" or pool.growth_due:
        return
    if any(node.leaving for node in pool.nodes.values()):
        return
    over = any(len(staying(pool, dedicated=kind)) > target for kind, target in _targets(pool))
    if over and pool.allocation == "resizing":
        return
    _set_allocation(core, pool, "steady")


def stop_resize(core: Core, pool: Pool) -> None:
    """Stops a resize where it is.

    Raises:
        Refused: `OperationInvalidForCurrentState` when none is in progress.
    """
    check_live(pool)
    if pool.allocation != "resizing":
        raise Refused("OperationInvalidForCurrentState")
    pool.generation += 1
    pool.growth_due = False
    _set_allocation(core, pool, "stopping")
    core.after(core.settings.resize_without_growth_s, _stopped, pool, pool.generation)


def _stopped(core: Core, pool: Pool, generation: int) -> None:
    if pool.generation != generation:
        return
    pool.resize_errors = [
        {"code": "ResizeStopped", "message": _STOPPED.format(kind)}
        for kind, (dedicated, target) in zip(
            ("dedicated", "low priority"), _targets(pool), strict=True
        )
        if pool.current[dedicated] != target
    ]
    _set_allocation(core, pool, "steady")


def remove_nodes(core: Core, pool: Pool, node_ids: Iterable[str], option: str) -> None:
    """Removes the nodes named, and lowers the targets by them.

    Raises:
        Refused: `NodeNotFound` for one of them, or the pool is being resized.
    """
    check_live(pool)
    chosen = [nodes.get(pool, node_id) for node_id in dict.fromkeys(node_ids)]
    if pool.allocation != "steady":
        raise Refused("PoolBeingResized")
    core.touch(pool)
    pool.generation += 1
    for node in chosen:
        if node.dedicated:
            pool.target_dedicated = max(0, pool.target_dedicated - 1)
        else:
            pool.target_spot = max(0, pool.target_spot - 1)
    _set_allocation(core, pool, "resizing")
    for node in chosen:
        nodes.leave(core, node, option)
    core.after(core.settings.resize_without_growth_s, _shrink, pool, pool.generation)


# Everything else


def patch(core: Core, pool: Pool, members: Mapping[str, Any]) -> None:
    """Replaces each member given, whole."""
    body = {**pool.body, **members}
    check_shape(body)
    pool.body = body
    core.touch(pool)


def set_identity(core: Core, pool: Pool, identity: dict[str, Any] | None) -> None:
    """Changes the identities of a pool's nodes."""
    pool.identity = identity
    core.touch(pool)


def replace_properties(core: Core, pool: Pool, members: Mapping[str, Any]) -> None:
    """Replaces start task, packages and metadata; what is not given goes."""
    replaceable = ("startTask", "applicationPackageReferences", "metadata")
    kept = {name: value for name, value in pool.body.items() if name not in replaceable}
    pool.body = kept | {name: members[name] for name in replaceable if members.get(name)}
    core.touch(pool)


def delete(core: Core, pool: Pool) -> None:
    """Removes the pool's nodes, then the pool; what ran there is requeued."""
    pool.state, pool.since = "deleting", core.now
    pool.target_dedicated = pool.target_spot = 0
    pool.autoscale = False
    pool.generation += 1
    pool.growth_due = False
    core.touch(pool)
    _set_allocation(core, pool, "resizing")
    for node in list(pool.nodes.values()):
        nodes.leave(core, node, "requeue")
    settle(core, pool)


def _gone(core: Core, pool: Pool) -> None:
    if core.world.pools.get(pool.key) is pool and not pool.nodes:
        pool.generation += 1
        core.world.remove_pool(pool)
        core.forget(pool)
