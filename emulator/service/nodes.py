"""Handlers of compute nodes."""

from __future__ import annotations

from emulator.engine import nodes, pools
from emulator.engine.nodes import Operation
from emulator.engine.world import Node
from emulator.service import bodies, render
from emulator.service.call import Call, Reply, sorted_keys
from emulator.service.schema import Check


def find(call: Call) -> Node:
    """The node that the path names."""
    pool = call.host.run(pools.get, call.path["poolId"])
    return nodes.get(pool, call.path["nodeId"])


def list_nodes(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes."""
    pool = call.host.run(pools.get, call.path["poolId"])
    return call.listing(
        "nodes",
        render.NODE_MEMBERS,
        sorted_keys(pool.nodes),
        lambda key, names: render.node(call.base, pool.nodes[key], names),
    )


def get_node(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes/{nodeId}."""
    node = find(call)
    return call.entity(
        "nodes", render.NODE_MEMBERS, lambda names: render.node(call.base, node, names)
    )


def _operate(call: Call, operation: Operation, check: Check, option: str) -> Reply:
    body = call.body(check)
    call.host.run(nodes.operate, find(call), operation, body[option])
    return Reply(status=202, service_id=True)


def reboot_node(call: Call) -> Reply:
    """POST .../reboot."""
    return _operate(call, "reboot", bodies.node_reboot, "nodeRebootOption")


def reimage_node(call: Call) -> Reply:
    """POST .../reimage."""
    return _operate(call, "reimage", bodies.node_reimage, "nodeReimageOption")


def deallocate_node(call: Call) -> Reply:
    """POST .../deallocate."""
    return _operate(call, "deallocate", bodies.node_deallocate, "nodeDeallocateOption")


def start_node(call: Call) -> Reply:
    """POST .../start."""
    call.host.run(nodes.start, find(call))
    return Reply(status=202, service_id=True)


def disable_node_scheduling(call: Call) -> Reply:
    """POST .../disablescheduling."""
    body = call.body(bodies.node_disable_scheduling)
    call.host.run(nodes.disable_scheduling, find(call), body["nodeDisableSchedulingOption"])
    return Reply(service_id=True)


def enable_node_scheduling(call: Call) -> Reply:
    """POST .../enablescheduling."""
    call.host.run(nodes.enable_scheduling, find(call))
    return Reply(service_id=True)
