"""Bodies about tasks."""

from __future__ import annotations

from typing import Any

from emulator.engine.refusal import invalid
from emulator.service.bodies.parts import (
    command,
    container,
    dependencies,
    display_name,
    environment,
    exit_conditions,
    identifier,
    multi_instance,
    output_files,
    packages,
    resource_files,
    slots,
    task_constraints,
    token_settings,
    user,
)
from emulator.service.schema import REQUIRED, Member, anything, record, text

MAX_TASKS_PER_COLLECTION = 100


def _one_task_a_node(task: dict[str, Any]) -> None:
    if "multiInstanceSettings" in task and task["requiredSlots"] != 1:
        raise invalid(
            "requiredSlots",
            task["requiredSlots"],
            "requiredSlots must not be specified for multi-instance tasks",
        )


task = record(
    "TaskAddParameter",
    Member("id", identifier, REQUIRED),
    Member("displayName", display_name),
    Member("commandLine", command, REQUIRED),
    Member("containerSettings", container),
    Member("resourceFiles", resource_files),
    Member("outputFiles", output_files),
    Member("environmentSettings", environment),
    Member("affinityInfo", record("AffinityInformation", Member("affinityId", text(), REQUIRED))),
    Member("applicationPackageReferences", packages),
    user,
    Member("exitConditions", exit_conditions),
    Member("dependsOn", dependencies),
    Member("multiInstanceSettings", multi_instance),
    token_settings,
    Member("constraints", task_constraints, {}),
    Member("requiredSlots", slots, 1),
    rule=_one_task_a_node,
)
task_collection = record("TaskAddCollectionParameter", Member("value", anything, REQUIRED))
task_update = record("TaskUpdateParameter", Member("constraints", task_constraints, {}))
