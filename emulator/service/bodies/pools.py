"""Bodies about pools."""

from __future__ import annotations

from typing import Any

from emulator.clock import seconds
from emulator.engine.refusal import Refused
from emulator.service.bodies.machines import machine, mounts, network
from emulator.service.bodies.parts import (
    command,
    container,
    display_name,
    environment,
    identifier,
    metadata,
    packages,
    resource_files,
    retries,
    slots,
    user,
)
from emulator.service.schema import (
    REQUIRED,
    Member,
    anything,
    boolean,
    choice,
    duration,
    integer,
    listing,
    partial,
    record,
    text,
    unsupported,
)

MAX_FORMULA = 8192

_start_task = record(
    "StartTask",
    Member("commandLine", command, REQUIRED),
    Member("containerSettings", container),
    Member("resourceFiles", resource_files),
    Member("environmentSettings", environment),
    user,
    Member("maxTaskRetryCount", retries, 0),
    Member("waitForSuccess", boolean, True),  # noqa: FBT003 - a default of the wire
)
_policy = record(
    "TaskSchedulingPolicy",
    Member("nodeFillType", choice("Spread", "Pack"), "Spread"),
    Member("jobDefaultOrder", choice("none", "creationtime"), "none"),
)
_account = record(
    "UserAccount",
    Member("name", text(least=1, most=20), REQUIRED),
    Member("password", text(least=1), REQUIRED, hidden=True),
    Member("elevationLevel", choice("nonadmin", "admin"), "nonadmin"),
    Member(
        "linuxUserConfiguration",
        record(
            "LinuxUserConfiguration",
            Member("uid", integer(0)),
            Member("gid", integer(0)),
            Member("sshPrivateKey", text(), hidden=True),
        ),
    ),
    Member(
        "windowsUserConfiguration",
        record("WindowsUserConfiguration", Member("loginMode", choice("batch", "interactive"))),
    ),
)


def _vm_size(value: Any, name: str) -> str:
    checked: str = text(least=1, most=64)(value, name)
    return checked.lower()


pool_shape = (
    Member("displayName", display_name),
    Member("vmSize", _vm_size, REQUIRED),
    Member("enableInterNodeCommunication", boolean, False),  # noqa: FBT003 - a default of the wire
    Member("startTask", _start_task),
    Member("userAccounts", listing(_account)),
    Member("applicationPackageReferences", packages),
    Member("metadata", metadata),
    Member("taskSlotsPerNode", slots, 1),
    Member("taskSchedulingPolicy", _policy, {}),
    Member("virtualMachineConfiguration", machine),
    Member("networkConfiguration", network),
    Member("mountConfiguration", mounts),
    Member("upgradePolicy", anything),
    Member("targetNodeCommunicationMode", choice("default", "classic", "simplified")),
    Member("resourceTags", anything),
    # Of api-versions before 2025-06-01; clients of then send them empty.
    Member("certificateReferences", unsupported, hidden=True),
    Member("applicationLicenses", unsupported, hidden=True),
)
_resize_timeout = duration(least=seconds(5 * 60), most=seconds(168 * 3600))
_interval = duration(least=seconds(5 * 60), most=seconds(168 * 3600))
_targets = (
    Member("targetDedicatedNodes", integer(0)),
    Member("targetLowPriorityNodes", integer(0)),
)


def _formula(value: Any, name: str) -> str:
    checked: str = text(least=1)(value, name)
    if len(checked) > MAX_FORMULA:
        raise Refused("AutoScaleFormulaTooLong")
    return checked


def check_scaling(pool: dict[str, Any]) -> None:
    """Either fixed or automatic: the service refuses members of the other way."""
    scales = pool["enableAutoScale"]
    if scales and "autoScaleFormula" not in pool:
        raise Refused("MissingRequiredProperty", {"PropertyName": "autoScaleFormula"})
    fixed = ("targetDedicatedNodes", "targetLowPriorityNodes", "resizeTimeout")
    automatic = ("autoScaleFormula", "autoScaleEvaluationInterval")
    for name in fixed if scales else automatic:
        if name in pool and not (scales and name == "resizeTimeout"):
            way = "enabled" if scales else "not enabled"
            raise Refused(
                "InvalidAutoScalingSettings",
                {"Reason": f"{name} cannot be specified when autoscale is {way}"},
            )


pool_scaling = (
    Member("resizeTimeout", _resize_timeout),
    *_targets,
    Member("enableAutoScale", boolean, False),  # noqa: FBT003 - a default of the wire
    Member("autoScaleFormula", _formula),
    Member("autoScaleEvaluationInterval", _interval),
)
pool = record(
    "PoolAddParameter",
    Member("id", identifier, REQUIRED),
    *pool_shape,
    *pool_scaling,
    rule=check_scaling,
)
pool_patch = partial("PoolPatchParameter", *pool_shape)
pool_properties = record(
    "PoolUpdatePropertiesParameter",
    Member("startTask", _start_task),
    Member("certificateReferences", unsupported),
    Member("applicationPackageReferences", packages),
    Member("metadata", metadata),
    Member("targetNodeCommunicationMode", choice("default", "classic", "simplified")),
)
_deallocation = choice("requeue", "terminate", "taskcompletion", "retaineddata")


def _some_target(resize: dict[str, Any]) -> None:
    if not {"targetDedicatedNodes", "targetLowPriorityNodes"} & resize.keys():
        raise Refused(
            "MissingRequiredProperty",
            {"PropertyName": "targetDedicatedNodes and/or targetLowPriorityNodes"},
        )


pool_resize = record(
    "PoolResizeParameter",
    *_targets,
    Member("resizeTimeout", _resize_timeout, "PT15M"),
    Member("nodeDeallocationOption", _deallocation, "requeue"),
    rule=_some_target,
)
pool_enable_autoscale = record(
    "PoolEnableAutoScaleParameter",
    Member("autoScaleFormula", _formula),
    Member("autoScaleEvaluationInterval", _interval),
)
pool_evaluate_autoscale = record(
    "PoolEvaluateAutoScaleParameter", Member("autoScaleFormula", _formula, REQUIRED)
)
pool_remove_nodes = record(
    "NodeRemoveParameter",
    Member("nodeList", listing(text(least=1), most=100), REQUIRED),
    Member("resizeTimeout", _resize_timeout, "PT15M"),
    Member("nodeDeallocationOption", _deallocation, "requeue"),
)
