"""Every request body of the service that the emulator takes.

Member names, bounds and defaults are the service's: from the REST reference by way of
the azure-batch SDK's models, defaults and their order from recordings.
"""

from __future__ import annotations

from typing import Any

from emulator.clock import seconds
from emulator.engine.refusal import Refused, invalid
from emulator.service.schema import (
    REQUIRED,
    Check,
    Member,
    anything,
    boolean,
    choice,
    duration,
    integer,
    listing,
    moment,
    partial,
    record,
    text,
    unsupported,
)
from emulator.service.values import UNLIMITED

MAX_TASKS_PER_COLLECTION = 100
MAX_FORMULA = 8192
_DAY = 86_400

_id = text(pattern=r"[A-Za-z0-9_-]{1,64}")
_name = text(most=1024)
_command = text(least=1)
_slots = integer(1, 256)
_span = duration()
_retries = integer(-1)


# Members that tasks of every kind have


def _packages(value: Any, name: str) -> Any:
    """No application exists here, so that each reference to one is refused as the service does."""
    if not isinstance(value, list):
        raise invalid(name, value, "an array is expected")
    missing = [str(item.get("applicationId")) for item in value if isinstance(item, dict)]
    if missing:
        raise Refused(
            "InvalidApplicationPackageReferences",
            {key.lower(): "The specified application package does not exist." for key in missing},
        )
    return []


_metadata = listing(
    record("MetadataItem", Member("name", text(), REQUIRED), Member("value", text(), REQUIRED))
)
_environment = listing(
    record("EnvironmentSetting", Member("name", text(least=1), REQUIRED), Member("value", text()))
)
_identity_reference = record("NodeIdentityReference", Member("resourceId", text()))
_registry = record(
    "ContainerRegistry",
    Member("username", text()),
    Member("password", text(), hidden=True),
    Member("registryServer", text()),
    Member("identityReference", _identity_reference),
)
_container = record(
    "TaskContainerSettings",
    Member("imageName", text(least=1), REQUIRED),
    Member("containerRunOptions", text()),
    Member("registry", _registry),
    Member(
        "workingDirectory",
        choice("taskWorkingDirectory", "containerImageDefault"),
        "taskWorkingDirectory",
    ),
    Member("containerHostBatchBindMounts", listing(anything)),
)


def _one_source(file: dict[str, Any]) -> None:
    sources = [
        n for n in ("autoStorageContainerName", "storageContainerUrl", "httpUrl") if n in file
    ]
    if len(sources) != 1:
        raise invalid(
            "resourceFiles",
            ", ".join(sources),
            "Exactly one of autoStorageContainerName, storageContainerUrl and httpUrl must be set",
        )
    if "httpUrl" in file and "filePath" not in file:
        raise Refused("MissingRequiredProperty", {"PropertyName": "filePath"})


def _url(value: Any, name: str) -> str:
    checked: str = text(least=1)(value, name)
    if not checked.lower().startswith(("http://", "https://")):
        kind = name[0].upper() + name[1:]
        raise invalid(name, value, f"The specified {kind} is not a valid URI")
    return checked


_resources = listing(
    record(
        "ResourceFile",
        Member("autoStorageContainerName", text(least=1)),
        Member("storageContainerUrl", _url),
        Member("httpUrl", _url),
        Member("blobPrefix", text()),
        Member("filePath", text()),
        Member("fileMode", text()),
        Member("identityReference", _identity_reference),
        rule=_one_source,
    )
)
_outputs = listing(
    record(
        "OutputFile",
        Member("filePattern", text(least=1), REQUIRED),
        Member(
            "destination",
            record(
                "OutputFileDestination",
                Member(
                    "container",
                    record(
                        "OutputFileBlobContainerDestination",
                        Member("path", text()),
                        Member("containerUrl", _url, REQUIRED),
                        Member("identityReference", _identity_reference),
                        Member(
                            "uploadHeaders",
                            listing(
                                record(
                                    "HttpHeader",
                                    Member("name", text(least=1), REQUIRED),
                                    Member("value", text()),
                                )
                            ),
                        ),
                    ),
                    REQUIRED,
                ),
            ),
            REQUIRED,
        ),
        Member(
            "uploadOptions",
            record(
                "OutputFileUploadOptions",
                Member(
                    "uploadCondition",
                    choice("TaskSuccess", "TaskFailure", "TaskCompletion"),
                    REQUIRED,
                ),
            ),
            REQUIRED,
        ),
    )
)


def _one_user(identity: dict[str, Any]) -> None:
    if "username" in identity and "autoUser" in identity:
        raise invalid("userIdentity", "", "username and autoUser are mutually exclusive")
    if not identity:
        raise Refused("MissingRequiredProperty", {"PropertyName": "autoUser"})


_identity = record(
    "UserIdentity",
    Member("username", text(most=20)),
    Member(
        "autoUser",
        record(
            "AutoUserSpecification",
            Member("scope", choice("pool", "task"), "pool"),
            Member("elevationLevel", choice("nonadmin", "admin"), "nonadmin"),
        ),
    ),
    rule=_one_user,
)
_user = Member("userIdentity", _identity, {"autoUser": {}})
_exit_options = record(
    "ExitOptions",
    Member("jobAction", choice("none", "disable", "terminate")),
    Member("dependencyAction", choice("satisfy", "block")),
)


def _ordered_range(span: dict[str, Any]) -> None:
    if span["start"] > span["end"]:
        raise invalid("start", span["start"], "start must not be greater than end")


_exit_conditions = record(
    "ExitConditions",
    Member(
        "exitCodes",
        listing(
            record(
                "ExitCodeMapping",
                Member("code", integer(), REQUIRED),
                Member("exitOptions", _exit_options, REQUIRED),
            )
        ),
    ),
    Member(
        "exitCodeRanges",
        listing(
            record(
                "ExitCodeRangeMapping",
                Member("start", integer(), REQUIRED),
                Member("end", integer(), REQUIRED),
                Member("exitOptions", _exit_options, REQUIRED),
                rule=_ordered_range,
            )
        ),
    ),
    Member("preProcessingError", _exit_options),
    Member("fileUploadError", _exit_options),
    Member("default", _exit_options),
)


def _bounded_ranges(depends: dict[str, Any]) -> None:
    ranges = depends.get("taskIdRanges", ())
    if sum(span["end"] - span["start"] + 1 for span in ranges) > 1_000_000:  # noqa: PLR2004
        raise invalid("taskIdRanges", "", "The ranges name more than 1000000 tasks")


_depends = record(
    "TaskDependencies",
    Member("taskIds", listing(text(pattern=r"[^,]{1,64}"))),
    Member(
        "taskIdRanges",
        listing(
            record(
                "TaskIdRange",
                Member("start", integer(0), REQUIRED),
                Member("end", integer(0), REQUIRED),
                rule=_ordered_range,
            )
        ),
    ),
    rule=_bounded_ranges,
)
_wall_clock = Member("maxWallClockTime", _span, UNLIMITED)
_retention = Member("retentionTime", _span, "P7D")
_task_constraints = record(
    "TaskConstraints", _wall_clock, _retention, Member("maxTaskRetryCount", _retries)
)


# Tasks

task = record(
    "TaskAddParameter",
    Member("id", _id, REQUIRED),
    Member("displayName", _name),
    Member("commandLine", _command, REQUIRED),
    Member("containerSettings", _container),
    Member("resourceFiles", _resources),
    Member("outputFiles", _outputs),
    Member("environmentSettings", _environment),
    Member("affinityInfo", record("AffinityInformation", Member("affinityId", text(), REQUIRED))),
    Member("applicationPackageReferences", _packages),
    _user,
    Member("exitConditions", _exit_conditions),
    Member("dependsOn", _depends),
    Member("multiInstanceSettings", unsupported),
    Member("authenticationTokenSettings", unsupported),
    Member("constraints", _task_constraints, {}),
    Member("requiredSlots", _slots, 1),
)
task_collection = record("TaskAddCollectionParameter", Member("value", anything, REQUIRED))
task_update = record("TaskUpdateParameter", Member("constraints", _task_constraints, {}))


# Pools

_start_task = record(
    "StartTask",
    Member("commandLine", _command, REQUIRED),
    Member("containerSettings", _container),
    Member("resourceFiles", _resources),
    Member("environmentSettings", _environment),
    _user,
    Member("maxTaskRetryCount", _retries, 0),
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


def _one_image(image: dict[str, Any]) -> None:
    by_id = [
        name
        for name in ("virtualMachineImageId", "sharedGalleryImageId", "communityGalleryImageId")
        if name in image
    ]
    if not by_id and not {"publisher", "offer", "sku"} <= image.keys():
        missing = next(n for n in ("publisher", "offer", "sku") if n not in image)
        raise Refused("MissingRequiredProperty", {"PropertyName": missing})
    if by_id:
        image.pop("version", None)


_image = record(
    "ImageReference",
    Member("publisher", text(least=1)),
    Member("offer", text(least=1)),
    Member("sku", text(least=1)),
    Member("version", text(least=1), "latest"),
    Member("virtualMachineImageId", text(least=1)),
    Member("sharedGalleryImageId", text(least=1)),
    Member("communityGalleryImageId", text(least=1)),
    rule=_one_image,
)
_managed_disk = record(
    "ManagedDisk",
    Member("diskEncryptionSet", anything),
    Member(
        "storageAccountType",
        choice("standard_lrs", "premium_lrs", "standardssd_lrs"),
        "standard_lrs",
    ),
    Member("securityProfile", anything),
)
_machine = record(
    "VirtualMachineConfiguration",
    Member("imageReference", _image, REQUIRED),
    Member("nodeAgentSKUId", text(least=1), REQUIRED),
    Member(
        "windowsConfiguration",
        record("WindowsConfiguration", Member("enableAutomaticUpdates", boolean)),
    ),
    Member(
        "dataDisks",
        listing(
            record(
                "DataDisk",
                Member("lun", integer(0, 63), REQUIRED),
                Member("caching", choice("none", "readonly", "readwrite"), "none"),
                Member("diskSizeGB", integer(1), REQUIRED),
                Member("managedDisk", _managed_disk),
                Member("storageAccountType", choice("standard_lrs", "premium_lrs")),
            )
        ),
    ),
    Member("licenseType", text()),
    Member(
        "containerConfiguration",
        record(
            "ContainerConfiguration",
            Member("type", choice("dockerCompatible", "criCompatible"), REQUIRED),
            Member("containerImageNames", listing(text())),
            Member("containerRegistries", listing(_registry)),
        ),
    ),
    Member("diskEncryptionConfiguration", anything),
    Member(
        "nodePlacementConfiguration",
        record(
            "NodePlacementConfiguration", Member("policy", choice("Regional", "Zonal"), "Regional")
        ),
    ),
    Member(
        "extensions",
        listing(
            record(
                "VMExtension",
                Member("name", text(least=1), REQUIRED),
                Member("publisher", text(least=1), REQUIRED),
                Member("type", text(least=1), REQUIRED),
                Member("typeHandlerVersion", text()),
                Member("autoUpgradeMinorVersion", boolean),
                Member("enableAutomaticUpgrade", boolean),
                Member("settings", anything),
                Member("protectedSettings", anything, hidden=True),
                Member("provisionAfterExtensions", listing(text())),
            )
        ),
    ),
    Member(
        "osDisk",
        record(
            "OSDisk",
            Member("ephemeralOSDiskSettings", anything, {}),
            Member("caching", choice("None", "ReadOnly", "ReadWrite")),
            Member("diskSizeGB", integer(1)),
            Member("managedDisk", _managed_disk, {}),
            Member("writeAcceleratorEnabled", boolean),
        ),
    ),
    Member("securityProfile", anything),
    Member("serviceArtifactReference", anything),
)
_network = record(
    "NetworkConfiguration",
    Member("subnetId", text(least=1)),
    Member("dynamicVNetAssignmentScope", choice("none", "job"), "none"),
    Member(
        "endpointConfiguration",
        record(
            "PoolEndpointConfiguration",
            Member(
                "inboundNATPools",
                listing(
                    record(
                        "InboundNATPool",
                        Member("name", text(least=1, most=77), REQUIRED),
                        Member("protocol", choice("tcp", "udp"), REQUIRED),
                        Member("backendPort", integer(1, 65535), REQUIRED),
                        Member("frontendPortRangeStart", integer(1, 65534), REQUIRED),
                        Member("frontendPortRangeEnd", integer(1, 65534), REQUIRED),
                        Member(
                            "networkSecurityGroupRules",
                            listing(
                                record(
                                    "NetworkSecurityGroupRule",
                                    Member("priority", integer(150, 4096), REQUIRED),
                                    Member("access", choice("allow", "deny"), REQUIRED),
                                    Member("sourceAddressPrefix", text(least=1), REQUIRED),
                                    Member("sourcePortRanges", listing(text()), ["*"]),
                                )
                            ),
                        ),
                    ),
                    most=5,
                ),
                REQUIRED,
            ),
        ),
    ),
    Member(
        "publicIPAddressConfiguration",
        record(
            "PublicIPAddressConfiguration",
            Member(
                "provision",
                choice("BatchManaged", "UserManaged", "NoPublicIPAddresses"),
                "BatchManaged",
            ),
            Member("ipFamilies", lambda value, name: sorted(listing(text())(value, name))),
            Member("ipAddressIds", listing(text())),
            Member("ipTags", listing(anything)),
        ),
    ),
    Member("enableAcceleratedNetworking", boolean, False),  # noqa: FBT003 - likewise
)


def _one_mount(mount: dict[str, Any]) -> None:
    if len(mount) != 1:
        raise invalid(
            "mountConfiguration", ", ".join(mount), "Exactly one file system must be set"
        )


_mount_path = Member("relativeMountPath", text(least=1), REQUIRED)
_mounts = listing(
    record(
        "MountConfiguration",
        Member(
            "azureBlobFileSystemConfiguration",
            record(
                "AzureBlobFileSystemConfiguration",
                Member("accountName", text(least=1), REQUIRED),
                Member("containerName", text(least=1), REQUIRED),
                Member("accountKey", text(), hidden=True),
                Member("sasKey", text(), hidden=True),
                Member("blobfuseOptions", text()),
                _mount_path,
                Member("identityReference", _identity_reference),
            ),
        ),
        Member(
            "nfsMountConfiguration",
            record(
                "NFSMountConfiguration",
                Member("source", text(least=1), REQUIRED),
                _mount_path,
                Member("mountOptions", text()),
            ),
        ),
        Member(
            "cifsMountConfiguration",
            record(
                "CIFSMountConfiguration",
                Member("username", text(least=1), REQUIRED),
                Member("source", text(least=1), REQUIRED),
                _mount_path,
                Member("mountOptions", text()),
                Member("password", text(), REQUIRED, hidden=True),
            ),
        ),
        Member(
            "azureFileShareConfiguration",
            record(
                "AzureFileShareConfiguration",
                Member("accountName", text(least=1), REQUIRED),
                Member("azureFileUrl", _url, REQUIRED),
                Member("accountKey", text(), REQUIRED, hidden=True),
                _mount_path,
                Member("mountOptions", text()),
            ),
        ),
        rule=_one_mount,
    ),
    most=10,
)


def _vm_size(value: Any, name: str) -> str:
    checked: str = text(least=1, most=64)(value, name)
    return checked.lower()


_pool_shape = (
    Member("displayName", _name),
    Member("vmSize", _vm_size, REQUIRED),
    Member("enableInterNodeCommunication", boolean, False),  # noqa: FBT003 - likewise
    Member("startTask", _start_task),
    Member("userAccounts", listing(_account)),
    Member("applicationPackageReferences", _packages),
    Member("metadata", _metadata),
    Member("taskSlotsPerNode", _slots, 1),
    Member("taskSchedulingPolicy", _policy, {}),
    Member("virtualMachineConfiguration", _machine),
    Member("networkConfiguration", _network),
    Member("mountConfiguration", _mounts),
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


def _scaling(pool: dict[str, Any]) -> None:
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


_pool_scaling = (
    Member("resizeTimeout", _resize_timeout),
    *_targets,
    Member("enableAutoScale", boolean, False),  # noqa: FBT003 - likewise
    Member("autoScaleFormula", _formula),
    Member("autoScaleEvaluationInterval", _interval),
)
pool = record(
    "PoolAddParameter", Member("id", _id, REQUIRED), *_pool_shape, *_pool_scaling, rule=_scaling
)
pool_patch = partial("PoolPatchParameter", *_pool_shape)
pool_properties = record(
    "PoolUpdatePropertiesParameter",
    Member("startTask", _start_task),
    Member("certificateReferences", unsupported),
    Member("applicationPackageReferences", _packages),
    Member("metadata", _metadata),
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


# Nodes


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


# Jobs

_job_constraints = record("JobConstraints", _wall_clock, Member("maxTaskRetryCount", _retries, 0))
_preparation = record(
    "JobPreparationTask",
    Member("id", _id, "jobpreparation"),
    Member("commandLine", _command, REQUIRED),
    Member("containerSettings", _container),
    Member("resourceFiles", _resources),
    Member("environmentSettings", _environment),
    Member(
        "constraints",
        record(
            "TaskConstraints", _wall_clock, _retention, Member("maxTaskRetryCount", _retries, 0)
        ),
        {},
    ),
    _user,
    Member("waitForSuccess", boolean, True),  # noqa: FBT003 - likewise
    Member("rerunOnNodeRebootAfterSuccess", boolean, True),  # noqa: FBT003 - likewise
)
_release = record(
    "JobReleaseTask",
    Member("id", _id, "jobrelease"),
    Member("commandLine", _command, REQUIRED),
    Member("containerSettings", _container),
    Member("resourceFiles", _resources),
    Member("environmentSettings", _environment),
    Member("maxWallClockTime", _span, "PT15M"),
    Member("retentionTime", _span, "P7D"),
    _user,
)


def _pool_or_specification(info: dict[str, Any]) -> None:
    if len(info) != 1:
        raise invalid(
            "poolInfo",
            ", ".join(info),
            "Exactly one of poolId and autoPoolSpecification must be specified",
        )


def _filled(spec: dict[str, Any]) -> None:
    _scaling(spec)
    spec.setdefault("resizeTimeout", "PT15M")
    spec.setdefault("targetDedicatedNodes", 0)
    spec.setdefault("targetLowPriorityNodes", 0)
    if spec["enableAutoScale"]:
        raise Refused("NotImplemented", {"Feature": "autoPoolSpecification.pool.enableAutoScale"})
    order = [
        "displayName", "vmSize", "taskSlotsPerNode", "taskSchedulingPolicy", "resizeTimeout",
        "targetDedicatedNodes", "targetLowPriorityNodes", "enableAutoScale",
        "enableInterNodeCommunication",
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
            Member("keepAlive", boolean, False),  # noqa: FBT003 - likewise
            Member(
                "pool",
                record("PoolSpecification", *_pool_shape, *_pool_scaling, rule=_filled),
                REQUIRED,
            ),
        ),
    ),
    rule=_pool_or_specification,
)
_all_complete = Member("onAllTasksComplete", choice("noaction", "terminatejob"), "noaction")
_job_changeable = (
    Member("priority", integer(-1000, 1000), 0),
    Member("maxParallelTasks", integer(-1), -1),
    Member("allowTaskPreemption", boolean, False),  # noqa: FBT003 - likewise
    Member("constraints", _job_constraints, {}),
)
job = record(
    "JobAddParameter",
    Member("id", _id, REQUIRED),
    Member("displayName", _name),
    Member("priority", integer(-1000, 1000), 0),
    Member("maxParallelTasks", integer(-1), -1),
    Member("usesTaskDependencies", boolean, False),  # noqa: FBT003 - likewise
    Member("allowTaskPreemption", boolean, False),  # noqa: FBT003 - likewise
    Member("constraints", _job_constraints, {}),
    Member("jobManagerTask", unsupported),
    Member("jobPreparationTask", _preparation),
    Member("jobReleaseTask", _release),
    Member("commonEnvironmentSettings", _environment),
    Member("poolInfo", _pool_info, REQUIRED),
    Member("metadata", _metadata),
    _all_complete,
    Member("onTaskFailure", choice("noaction", "performexitoptionsjobaction"), "noaction"),
    Member("networkConfiguration", anything),
)
_job_put_extra = (
    Member("poolInfo", _pool_info, REQUIRED),
    Member("metadata", _metadata),
    _all_complete,
    # What GET answers beside those, and clients send back: it cannot be changed.
    *(
        Member(name, anything, hidden=True)
        for name in (
            "id",
            "displayName",
            "usesTaskDependencies",
            "url",
            "eTag",
            "lastModified",
            "creationTime",
            "state",
            "stateTransitionTime",
            "previousState",
            "previousStateTransitionTime",
            "jobManagerTask",
            "jobPreparationTask",
            "jobReleaseTask",
            "commonEnvironmentSettings",
            "onTaskFailure",
            "networkConfiguration",
            "executionInfo",
            "stats",
        )
    ),
)
job_put = record("JobUpdateParameter", *_job_changeable, *_job_put_extra)
job_patch = partial(
    "JobPatchParameter",
    *_job_changeable,
    Member("poolInfo", _pool_info),
    Member("metadata", _metadata),
    _all_complete,
    Member("networkConfiguration", anything),
)
job_disable = record(
    "JobDisableParameter",
    Member("disableTasks", choice("requeue", "terminate", "wait"), REQUIRED),
)
job_terminate = record("JobTerminateParameter", Member("terminateReason", text()))
moment_check = moment
