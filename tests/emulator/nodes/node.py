"""The node on which tests run tasks, and attempts at them."""

from __future__ import annotations

from typing import Any

from emulator.nodes.interface import NodeFacts, TaskLaunch

IDENTITY = (
    "/subscriptions/s/resourceGroups/g/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/me"
)
NODE = NodeFacts(
    account="local",
    batch_url="http://127.0.0.1:1",
    pool_id="pool",
    node_id="tvmps_" + 64 * "a" + "_d",
    is_dedicated=True,
    ip_address="10.0.0.4",
    identity_ids=(IDENTITY,),
)


def launch(command: str, **task: Any) -> TaskLaunch:
    return TaskLaunch(node=NODE, job_id="job", task_id="t", task={"commandLine": command, **task})
