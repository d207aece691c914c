"""Bodies about compute nodes."""

from __future__ import annotations

from emulator.service.schema import Check, Member, choice, record


def _node_option(kind: str, name: str, *words: str) -> Check:
    return record(kind, Member(name, choice(*words), "requeue"))


_LEAVING = ("requeue", "terminate", "taskcompletion", "retaineddata")
node_reboot = _node_option("NodeRebootParameter", "nodeRebootOption", *_LEAVING)
node_reimage = _node_option("NodeReimageParameter", "nodeReimageOption", *_LEAVING)
node_deallocate = _node_option("NodeDeallocateParameter", "nodeDeallocateOption", *_LEAVING)
node_disable_scheduling = _node_option(
    "NodeDisableSchedulingParameter",
    "nodeDisableSchedulingOption",
    "requeue",
    "terminate",
    "taskcompletion",
)
