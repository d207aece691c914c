"""Entities as the service writes them: every member, in its order.

`names` limits what is rendered, for `$select` and for filters that look at little;
None renders all. URLs begin with `base`, the caller's own host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.engine.task_specs import spec_of
from emulator.engine.world import (
    NODE_STATES,
    WORK,
    Counts,
    Job,
    Node,
    Pool,
    Preparation,
    Subtask,
    Task,
)
from emulator.nodes.directories import task_directory
from emulator.service.values import agent_instant, etag, instant
from emulator.spans import span

Names = frozenset[str] | None

POOL_MEMBERS = (
    "id", "displayName", "url", "eTag", "lastModified", "creationTime", "state",
    "stateTransitionTime", "allocationState", "allocationStateTransitionTime", "vmSize",
    "resizeTimeout", "currentDedicatedNodes", "targetDedicatedNodes", "currentLowPriorityNodes",
    "targetLowPriorityNodes", "resizeErrors", "enableAutoScale", "autoScaleFormula",
    "autoScaleEvaluationInterval", "autoScaleRun", "enableInterNodeCommunication", "startTask",
    "userAccounts", "applicationPackageReferences", "metadata", "taskSlotsPerNode",
    "taskSchedulingPolicy", "virtualMachineConfiguration", "networkConfiguration",
    "mountConfiguration", "upgradePolicy", "targetNodeCommunicationMode", "resourceTags",
    "identity", "stats",
)  # fmt: skip
JOB_MEMBERS = (
    "id", "displayName", "url", "eTag", "lastModified", "creationTime", "state",
    "stateTransitionTime", "previousState", "previousStateTransitionTime", "priority",
    "maxParallelTasks", "usesTaskDependencies", "allowTaskPreemption", "constraints",
    "jobManagerTask", "jobPreparationTask", "jobReleaseTask", "commonEnvironmentSettings",
    "poolInfo", "metadata", "executionInfo", "onAllTasksComplete", "onTaskFailure",
    "networkConfiguration", "stats",
)  # fmt: skip
TASK_MEMBERS = (
    "id", "displayName", "url", "eTag", "creationTime", "lastModified", "state",
    "stateTransitionTime", "previousState", "previousStateTransitionTime", "commandLine",
    "containerSettings", "resourceFiles", "outputFiles", "environmentSettings", "affinityInfo",
    "applicationPackageReferences", "userIdentity", "exitConditions", "dependsOn",
    "multiInstanceSettings", "authenticationTokenSettings", "constraints", "requiredSlots",
    "executionInfo", "nodeInfo", "stats",
)  # fmt: skip
NODE_MEMBERS = (
    "id", "url", "state", "schedulingState", "stateTransitionTime", "lastBootTime",
    "allocationTime", "ipAddress", "affinityId", "vmSize", "totalTasksRun",
    "totalTasksSucceeded", "runningTasksCount", "runningTaskSlotsCount", "recentTasks",
    "startTask", "startTaskInfo", "errors", "isDedicated", "endpointConfiguration",
    "nodeAgentInfo", "virtualMachineInfo",
)  # fmt: skip
FILE_MEMBERS = ("name", "url", "isDirectory", "properties")
COUNT_MEMBERS = ("poolId", "dedicated", "lowPriority")
IMAGE_MEMBERS = (
    "imageReference", "verificationType", "nodeAgentSKUId", "capabilities",
    "batchSupportEndOfLife", "osType",
)  # fmt: skip
PREPARATION_MEMBERS = (
    "poolId", "nodeId", "nodeUrl", "jobPreparationTaskExecutionInfo",
    "jobReleaseTaskExecutionInfo",
)  # fmt: skip

_TASK_SPEC = frozenset(TASK_MEMBERS[10:24]) | {"displayName"}
AGENT_VERSION = "1.12.39"
_COUNT_NAMES = {
    "leavingpool": "leavingPool",
    "starttaskfailed": "startTaskFailed",
    "upgradingos": "upgradingOS",
    "waitingforstarttask": "waitingForStartTask",
}


def ordered(members: Mapping[str, Any], order: tuple[str, ...], names: Names) -> dict[str, Any]:
    """The members that have a value and are wanted, in the service's order."""
    return {
        name: members[name]
        for name in order
        if members.get(name) is not None and (names is None or name in names)
    }


def pool(base: str, pool: Pool, names: Names = None) -> dict[str, Any]:
    """A pool."""
    fixed = {"resizeTimeout": span(pool.resize_timeout)}
    scaled = {
        "autoScaleFormula": pool.formula,
        "autoScaleEvaluationInterval": span(pool.interval),
        "autoScaleRun": scale_run(pool.scale_run) if pool.scale_run else None,
    }
    members = {
        **pool.body,
        "id": pool.id,
        "url": f"{base}/pools/{pool.id}",
        "eTag": etag(pool.modified),
        "lastModified": instant(pool.modified),
        "creationTime": instant(pool.created),
        "state": pool.state,
        "stateTransitionTime": instant(pool.since),
        "allocationState": pool.allocation,
        "allocationStateTransitionTime": instant(pool.allocation_since),
        **fixed,
        "currentDedicatedNodes": pool.current[True],
        "targetDedicatedNodes": pool.target_dedicated,
        "currentLowPriorityNodes": pool.current[False],
        "targetLowPriorityNodes": pool.target_spot,
        "resizeErrors": pool.resize_errors or None,
        "enableAutoScale": pool.autoscale,
        **(scaled if pool.autoscale else {}),
        "identity": pool.identity,
    }
    return ordered(members, POOL_MEMBERS, names)


def scale_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """An autoscale run."""
    return {**run, "timestamp": instant(run["timestamp"])}


def job(base: str, job: Job, names: Names = None) -> dict[str, Any]:
    """A job."""
    execution = {
        "startTime": instant(job.started),
        "endTime": None if job.ended is None else instant(job.ended),
        "poolId": job.pool_id,
        "schedulingError": job.scheduling_error,
        "terminateReason": job.terminate_reason,
    }
    members = {
        **job.body,
        "id": job.id,
        "url": f"{base}/jobs/{job.id}",
        "eTag": etag(job.modified),
        "lastModified": instant(job.modified),
        "creationTime": instant(job.created),
        "state": job.state,
        "stateTransitionTime": instant(job.since),
        "executionInfo": {n: v for n, v in execution.items() if v is not None},
    }
    if job.previous is not None:
        members["previousState"] = job.previous
        members["previousStateTransitionTime"] = instant(job.previous_since)
    return ordered(members, JOB_MEMBERS, names)


def task(base: str, task: Task, names: Names = None) -> dict[str, Any]:
    """A task."""
    members: dict[str, Any] = {}
    if names is None or names & _TASK_SPEC:
        members.update(spec_of(task))
    members["id"] = task.id
    members["url"] = f"{base}/jobs/{task.job.id}/tasks/{task.id}"
    members["eTag"] = etag(task.modified)
    members["creationTime"] = instant(task.created)
    members["lastModified"] = instant(task.modified)
    members["state"] = task.state
    members["stateTransitionTime"] = instant(task.since)
    if task.previous is not None:
        members["previousState"] = task.previous
        members["previousStateTransitionTime"] = instant(task.previous_since)
    if names is None or "executionInfo" in names:
        members["executionInfo"] = execution_info(task)
    if task.node_id is not None and (names is None or "nodeInfo" in names):
        members["nodeInfo"] = _node_info(base, task, task.pool_id, task.node_id)
    return ordered(members, TASK_MEMBERS, names)


def execution_info(task: Task) -> dict[str, Any]:
    """How a task ran, or runs."""
    info = {
        "startTime": None if task.start is None else agent_instant(task.start),
        "endTime": None if task.end is None else agent_instant(task.end),
        "exitCode": task.exit_code,
        "failureInfo": task.failure,
        "result": task.result,
        "retryCount": task.retry_count,
        "lastRetryTime": None if task.last_retry is None else instant(task.last_retry),
        "requeueCount": task.requeue_count,
        "lastRequeueTime": None if task.last_requeue is None else instant(task.last_requeue),
    }
    return {name: value for name, value in info.items() if value is not None}


def subtask(base: str, task: Task, subtask: Subtask) -> dict[str, Any]:
    """An instance of a multi-instance task beside its primary."""
    members = {
        "id": subtask.id,
        "nodeInfo": _node_info(base, task, subtask.pool_id, subtask.node_id),
        "startTime": None if subtask.start is None else agent_instant(subtask.start),
        "endTime": None if subtask.end is None else agent_instant(subtask.end),
        "exitCode": subtask.exit_code,
        "failureInfo": subtask.failure,
        "state": subtask.state,
        "stateTransitionTime": instant(subtask.since),
        "previousState": subtask.previous,
        "previousStateTransitionTime": instant(subtask.previous_since)
        if subtask.previous
        else None,
        "result": subtask.result,
    }
    return {name: value for name, value in members.items() if value is not None}


def _node_info(base: str, task: Task, pool_id: str, node_id: str) -> dict[str, Any]:
    if not node_id:
        return {}
    url = f"{base}/pools/{pool_id}/nodes/{node_id}"
    directory = task_directory(task.job.id, task.id)
    return {
        "affinityId": f"TVM:{node_id}",
        "nodeUrl": url,
        "poolId": pool_id,
        "nodeId": node_id,
        "taskRootDirectory": directory,
        "taskRootDirectoryUrl": f"{url}/files/{directory}",
    }


def node(base: str, node: Node, names: Names = None) -> dict[str, Any]:
    """A compute node."""
    pool = node.pool
    running = [a for a in node.attempts.values() if a.kind in WORK and a.slots]
    members: dict[str, Any] = {
        "id": node.id,
        "url": f"{base}/pools/{pool.id}/nodes/{node.id}",
        "state": node.state,
        "schedulingState": node.scheduling,
        "stateTransitionTime": instant(node.since),
        "allocationTime": instant(node.allocated),
        "ipAddress": node.ip,
        "affinityId": f"TVM:{node.id}",
        "vmSize": pool.body["vmSize"],
        "totalTasksRun": node.total_run,
        "totalTasksSucceeded": node.total_succeeded,
        "runningTasksCount": len(running),
        "runningTaskSlotsCount": node.used,
        "recentTasks": [_recent(base, task) for task in node.recent] or None,
        "startTask": node.start_task,
        "startTaskInfo": _start_info(node.start_info) if node.start_info else None,
        "errors": node.errors or None,
        "isDedicated": node.dedicated,
        "virtualMachineInfo": _machine_info(pool),
    }
    if node.booted is not None:
        members["lastBootTime"] = agent_instant(node.booted)
        members["nodeAgentInfo"] = {
            "lastUpdateTime": agent_instant(node.booted),
            "version": AGENT_VERSION,
        }
    return ordered(members, NODE_MEMBERS, names)


def _machine_info(pool: Pool) -> dict[str, Any]:
    image = pool.body["virtualMachineConfiguration"]["imageReference"]
    exact = {"exactVersion": image["version"]} if "version" in image else {}
    return {"imageReference": {**image, **exact}}


def _recent(base: str, task: Task) -> dict[str, Any]:
    return {
        "taskUrl": f"{base}/jobs/{task.job.id}/tasks/{task.id}",
        "jobId": task.job.id,
        "taskId": task.id,
        "taskState": task.state,
        "executionInfo": execution_info(task),
    }


def _start_info(info: Mapping[str, Any]) -> dict[str, Any]:
    times = ("startTime", "endTime", "lastRetryTime")
    return {n: agent_instant(v) if n in times else v for n, v in info.items()}


def node_counts(pool: Pool) -> dict[str, Any]:
    """How many nodes a pool has in each state."""
    return {
        "poolId": pool.id,
        "dedicated": _counts_of(pool, dedicated=True),
        "lowPriority": _counts_of(pool, dedicated=False),
    }


def _counts_of(pool: Pool, *, dedicated: bool) -> dict[str, int]:
    counts = {
        _COUNT_NAMES.get(state, state): pool.counts.get((dedicated, state), 0)
        for state in NODE_STATES
    }
    return {**counts, "total": pool.current[dedicated]}


def task_counts(job: Job) -> dict[str, Any]:
    """How many tasks, and slots of tasks, a job has in each state."""
    return {
        "taskCounts": _task_counts(job.counts),
        "taskSlotCounts": _task_counts(job.slot_counts),
    }


def _task_counts(counts: Counts) -> dict[str, int]:
    return {
        "active": counts.active,
        "running": counts.running,
        "completed": counts.succeeded + counts.failed,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
    }


def preparation_status(base: str, job: Job, node: Node) -> dict[str, Any]:
    """How a job's preparation and release tasks fare on a node."""
    url = f"{base}/pools/{node.pool.id}/nodes/{node.id}"
    members: dict[str, Any] = {"poolId": node.pool.id, "nodeId": node.id, "nodeUrl": url}
    steps = (
        ("jobPreparationTask", node.preparations.get(job.key)),
        ("jobReleaseTask", node.releases.get(job.key)),
    )
    for name, step in steps:
        if step is not None:
            members[f"{name}ExecutionInfo"] = _step(url, job, name, step)
    return members


def _step(url: str, job: Job, name: str, step: Preparation) -> dict[str, Any]:
    directory = task_directory(job.id, job.body[name]["id"])
    info = {
        "startTime": agent_instant(step.start),
        "endTime": None if step.end is None else agent_instant(step.end),
        "state": step.state,
        "taskRootDirectory": directory,
        "taskRootDirectoryUrl": f"{url}/files/{directory}",
        "exitCode": step.exit_code,
        "failureInfo": step.failure,
        "retryCount": step.retry_count if step.kind == "preparation" else None,
        "result": None if step.state == "running" else ("success" if step.ok else "failure"),
    }
    return {n: v for n, v in info.items() if v is not None}
