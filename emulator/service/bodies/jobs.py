"""Bodies about jobs."""

from __future__ import annotations

from typing import Any

from emulator.engine.pools import check_shape
from emulator.engine.refusal import invalid
from emulator.service.bodies.parts import (
    answered,
    any_span,
    command,
    container,
    display_name,
    environment,
    identifier,
    metadata,
    output_files,
    packages,
    resource_files,
    retention,
    retries,
    slots,
    task_constraints,
    token_settings,
    user,
    wall_clock,
)
from emulator.service.bodies.pools import check_scaling, pool_scaling, pool_shape
from emulator.service.schema import (
    REQUIRED,
    Member,
    anything,
    boolean,
    choice,
    integer,
    partial,
    record,
    text,
)

_job_constraints = record("JobConstraints", wall_clock, Member("maxTaskRetryCount", retries, 0))
_preparation = record(
    "JobPreparationTask",
    Member("id", identifier, "jobpreparation"),
    Member("commandLine", command, REQUIRED),
    Member("containerSettings", container),
    Member("resourceFiles", resource_files),
    Member("environmentSettings", environment),
    Member(
        "constraints",
        record("TaskConstraints", wall_clock, retention, Member("maxTaskRetryCount", retries, 0)),
        {},
    ),
    user,
    Member("waitForSuccess", boolean, True),  # noqa: FBT003 - a default of the wire
    Member("rerunOnNodeRebootAfterSuccess", boolean, True),  # noqa: FBT003 - a default of the wire
)
_release = record(
    "JobReleaseTask",
    Member("id", identifier, "jobrelease"),
    Member("commandLine", command, REQUIRED),
    Member("containerSettings", container),
    Member("resourceFiles", resource_files),
    Member("environmentSettings", environment),
    Member("maxWallClockTime", any_span, "PT15M"),
    Member("retentionTime", any_span, "P7D"),
    user,
)


def _pool_or_specification(info: dict[str, Any]) -> None:
    if len(info) != 1:
        raise invalid(
            "poolInfo",
            ", ".join(info),
            "Exactly one of poolId and autoPoolSpecification must be specified",
        )


def _filled(spec: dict[str, Any]) -> None:
    check_scaling(spec)
    check_shape(spec)
    spec.setdefault("resizeTimeout", "PT15M")
    if spec["enableAutoScale"]:
        spec.setdefault("autoScaleEvaluationInterval", "PT15M")
    else:
        spec.setdefault("targetDedicatedNodes", 0)
        spec.setdefault("targetLowPriorityNodes", 0)
    order = [
        "displayName", "vmSize", "taskSlotsPerNode", "taskSchedulingPolicy", "resizeTimeout",
        "targetDedicatedNodes", "targetLowPriorityNodes", "enableAutoScale", "autoScaleFormula",
        "autoScaleEvaluationInterval", "enableInterNodeCommunication",
    ]  # fmt: skip
    members = {name: spec[name] for name in order if name in spec} | spec
    spec.clear()
    spec.update(members)


_pool_info = record(
    "PoolInformation",
    Member("poolId", text(pattern=r"[A-Za-z0-9_-]{1,64}")),
    Member(
        "autoPoolSpecification",
        record(
            "AutoPoolSpecification",
            Member("autoPoolIdPrefix", text(pattern=r"[A-Za-z0-9_-]{1,20}")),
            Member("poolLifetimeOption", choice("job", "jobschedule"), REQUIRED),
            Member("keepAlive", boolean, False),  # noqa: FBT003 - a default of the wire
            Member(
                "pool",
                record("PoolSpecification", *pool_shape, *pool_scaling, rule=_filled),
                REQUIRED,
            ),
        ),
    ),
    rule=_pool_or_specification,
)
_manager = record(
    "JobManagerTask",
    Member("id", identifier, REQUIRED),
    Member("displayName", display_name),
    Member("commandLine", command, REQUIRED),
    Member("containerSettings", container),
    Member("resourceFiles", resource_files),
    Member("outputFiles", output_files),
    Member("environmentSettings", environment),
    Member("applicationPackageReferences", packages),
    token_settings,
    Member("constraints", task_constraints, {}),
    Member("requiredSlots", slots, 1),
    user,
    Member("runExclusive", boolean, True),  # noqa: FBT003 - a default of the wire
    Member("allowLowPriorityNode", boolean, True),  # noqa: FBT003 - a default of the wire
    Member("killJobOnCompletion", boolean, True),  # noqa: FBT003 - a default of the wire
)


def _manager_retries(job: dict[str, Any]) -> None:
    """A manager task is retried as often as its job's tasks, unless it says otherwise."""
    manager = job.get("jobManagerTask")
    if manager is not None:
        retries = job["constraints"]["maxTaskRetryCount"]
        manager["constraints"] = {"maxTaskRetryCount": retries, **manager["constraints"]}
        order = ("maxWallClockTime", "retentionTime", "maxTaskRetryCount")
        manager["constraints"] = {name: manager["constraints"][name] for name in order}


_task_failure = Member(
    "onTaskFailure", choice("noaction", "performexitoptionsjobaction"), "noaction"
)
_all_complete = Member("onAllTasksComplete", choice("noaction", "terminatejob"), "noaction")
_limits = (
    Member("priority", integer(-1000, 1000), 0),
    Member("maxParallelTasks", integer(-1), -1),
)
_gives_way = Member("allowTaskPreemption", boolean, False)  # noqa: FBT003 - a default of the wire
_depends = Member("usesTaskDependencies", boolean, False)  # noqa: FBT003 - a default of the wire
_constraints = Member("constraints", _job_constraints, {})
_network = Member("networkConfiguration", anything)
_content = (
    _constraints,
    Member("jobManagerTask", _manager),
    Member("jobPreparationTask", _preparation),
    Member("jobReleaseTask", _release),
    Member("commonEnvironmentSettings", environment),
    Member("poolInfo", _pool_info, REQUIRED),
    Member("metadata", metadata),
)
job = record(
    "JobAddParameter",
    Member("id", identifier, REQUIRED),
    Member("displayName", display_name),
    *_limits,
    _depends,
    _gives_way,
    *_content,
    _all_complete,
    _task_failure,
    _network,
    rule=_manager_retries,
)
job_specification = record(
    "JobSpecification",
    Member("displayName", display_name),
    *_limits,
    _gives_way,
    _depends,
    _all_complete,
    _task_failure,
    _network,
    *_content,
    rule=_manager_retries,
)
_changeable = (*_limits, _gives_way, _constraints)
job_put = record(
    "JobUpdateParameter",
    *_changeable,
    Member("poolInfo", _pool_info, REQUIRED),
    Member("metadata", metadata),
    _all_complete,
    *answered(
        "usesTaskDependencies", "jobManagerTask", "jobPreparationTask", "jobReleaseTask",
        "commonEnvironmentSettings", "onTaskFailure", "networkConfiguration",
    ),
)  # fmt: skip
job_patch = partial(
    "JobPatchParameter",
    *_changeable,
    Member("poolInfo", _pool_info),
    Member("metadata", metadata),
    _all_complete,
    _network,
)
job_disable = record(
    "JobDisableParameter",
    Member("disableTasks", choice("requeue", "terminate", "wait"), REQUIRED),
)
job_terminate = record("JobTerminateParameter", Member("terminateReason", text()))
