"""Bodies about tasks."""

from __future__ import annotations

from emulator.service.bodies.parts import (
    command,
    container,
    dependencies,
    display_name,
    environment,
    exit_conditions,
    identifier,
    output_files,
    packages,
    resource_files,
    slots,
    task_constraints,
    user,
)
from emulator.service.schema import REQUIRED, Member, anything, record, text, unsupported

MAX_TASKS_PER_COLLECTION = 100

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
    Member("multiInstanceSettings", unsupported),
    Member("authenticationTokenSettings", unsupported),
    Member("constraints", task_constraints, {}),
    Member("requiredSlots", slots, 1),
)
task_collection = record("TaskAddCollectionParameter", Member("value", anything, REQUIRED))
task_update = record("TaskUpdateParameter", Member("constraints", task_constraints, {}))
