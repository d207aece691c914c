"""A pool of Resource Manager as the Batch service has it, and back.

Source of the names: the argument classes of azure-native's `batch.Pool` (2024-07-01) and
the models of azure-batch (2025-06-01); a test holds the table to both. The newer service
has no place for four properties: certificates and licences are retired and refused;
resource tags and the (only) communication mode stay with Resource Manager.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import Context, scope_name
from emulator.arm.resources.mapping import (
    SAME,
    Choice,
    Each,
    Fields,
    Shape,
    UnmappedError,
    covers,
    same,
)

_PATH: Final = frozenset({"accountName", "resourceGroupName", "poolName"})
ARM_ONLY: Final = frozenset({"tags", "resourceTags", "targetNodeCommunicationMode"})
"""Kept by Resource Manager; the service's pool has no place for them."""

LIVE: Final = frozenset({"applicationPackages", "metadata", "scaleSettings", "startTask", "tags"})
"""What changes while nodes run. Source: docstrings of azure-batch `BatchPoolUpdateOptions`."""

NEEDS_EMPTY: Final = frozenset(
    {
        "deploymentConfiguration",
        "displayName",
        "interNodeCommunication",
        "mountConfiguration",
        "networkConfiguration",
        "targetNodeCommunicationMode",
        "taskSchedulingPolicy",
        "taskSlotsPerNode",
        "upgradePolicy",
        "userAccounts",
        "vmSize",
    }
)
"""What changes only while the pool has no nodes; everything else needs a new pool."""


class _Communication:
    """Disabled and Enabled, a boolean in the service."""

    def to_wire(self, value: Any, path: str) -> Any:
        del path
        return str(value).casefold() == "enabled"

    def to_arm(self, value: Any) -> Any:
        return "Enabled" if value else "Disabled"


class _ApplicationId:
    """An application's resource id, its name in the service."""

    def to_wire(self, value: Any, path: str) -> Any:
        del path
        return scope_name(str(value))

    def to_arm(self, value: Any) -> Any:
        return value


_IDENTITY: Final = Fields(same("resourceId"))
_REGISTRY: Final = Fields(
    {
        **same("registryServer", "password"),
        "userName": ("username", SAME),
        "identityReference": ("identityReference", _IDENTITY),
    }
)
_CACHING: Final = Choice(("None", "ReadOnly", "ReadWrite"))
_DISK_TYPE: Final = Choice(("Standard_LRS", "Premium_LRS", "StandardSSD_LRS"))
_ELEVATION: Final = Choice(("NonAdmin", "Admin"))

_IMAGE: Final = Fields(
    {
        **same("publisher", "offer", "sku", "version"),
        **same("communityGalleryImageId", "sharedGalleryImageId"),
        "id": ("virtualMachineImageId", SAME),
    }
)
_OS_DISK: Final = Fields(
    {
        **same("diskSizeGB", "writeAcceleratorEnabled"),
        "caching": ("caching", _CACHING),
        "ephemeralOSDiskSettings": (
            "ephemeralOSDiskSettings",
            Fields({"placement": ("placement", Choice(("CacheDisk",)))}),
        ),
        "managedDisk": (
            "managedDisk",
            Fields(
                {
                    "storageAccountType": ("storageAccountType", _DISK_TYPE),
                    "securityProfile": (
                        "securityProfile",
                        Fields(same("securityEncryptionType")),
                    ),
                }
            ),
        ),
    }
)
_MACHINE: Final = Fields(
    {
        "imageReference": ("imageReference", _IMAGE),
        "nodeAgentSkuId": ("nodeAgentSKUId", SAME),
        "licenseType": ("licenseType", SAME),
        "windowsConfiguration": (
            "windowsConfiguration",
            Fields(same("enableAutomaticUpdates")),
        ),
        "containerConfiguration": (
            "containerConfiguration",
            Fields(
                {
                    "type": (
                        "type",
                        Choice(
                            ("DockerCompatible", "CriCompatible"),
                            ("dockerCompatible", "criCompatible"),
                        ),
                    ),
                    **same("containerImageNames"),
                    "containerRegistries": ("containerRegistries", Each(_REGISTRY)),
                }
            ),
        ),
        "dataDisks": (
            "dataDisks",
            Each(
                Fields(
                    {
                        **same("lun", "diskSizeGB"),
                        "caching": ("caching", _CACHING),
                        "storageAccountType": ("managedDisk.storageAccountType", _DISK_TYPE),
                    }
                )
            ),
        ),
        "diskEncryptionConfiguration": (
            "diskEncryptionConfiguration",
            Fields({"targets": ("targets", Each(Choice(("OsDisk", "TemporaryDisk"))))}),
        ),
        "extensions": (
            "extensions",
            Each(
                Fields(
                    same(
                        "name",
                        "publisher",
                        "type",
                        "typeHandlerVersion",
                        "autoUpgradeMinorVersion",
                        "enableAutomaticUpgrade",
                        "provisionAfterExtensions",
                        "settings",
                        "protectedSettings",
                    )
                )
            ),
        ),
        "nodePlacementConfiguration": (
            "nodePlacementConfiguration",
            Fields({"policy": ("policy", Choice(("Regional", "Zonal")))}),
        ),
        "osDisk": ("osDisk", _OS_DISK),
        "securityProfile": (
            "securityProfile",
            Fields(
                {
                    "encryptionAtHost": ("encryptionAtHost", SAME),
                    "securityType": (
                        "securityType",
                        Choice(
                            ("trustedLaunch", "confidentialVM"),
                            ("trustedLaunch", "confidentialvm"),
                        ),
                    ),
                    "uefiSettings": (
                        "uefiSettings",
                        Fields(same("secureBootEnabled", "vTpmEnabled")),
                    ),
                }
            ),
        ),
        "serviceArtifactReference": ("serviceArtifactReference", Fields(same("id"))),
    }
)
_NETWORK: Final = Fields(
    {
        **same("subnetId", "enableAcceleratedNetworking"),
        "dynamicVnetAssignmentScope": ("dynamicVNetAssignmentScope", SAME),
        "endpointConfiguration": (
            "endpointConfiguration",
            Fields(
                {
                    "inboundNatPools": (
                        "inboundNATPools",
                        Each(
                            Fields(
                                {
                                    **same("name", "backendPort"),
                                    **same("frontendPortRangeStart", "frontendPortRangeEnd"),
                                    "protocol": ("protocol", Choice(("TCP", "UDP"))),
                                    "networkSecurityGroupRules": (
                                        "networkSecurityGroupRules",
                                        Each(
                                            Fields(
                                                {
                                                    **same("priority", "sourceAddressPrefix"),
                                                    **same("sourcePortRanges"),
                                                    "access": (
                                                        "access",
                                                        Choice(("Allow", "Deny")),
                                                    ),
                                                }
                                            )
                                        ),
                                    ),
                                }
                            )
                        ),
                    )
                }
            ),
        ),
        "publicIPAddressConfiguration": (
            "publicIPAddressConfiguration",
            Fields(
                {
                    **same("ipAddressIds"),
                    "provision": (
                        "provision",
                        Choice(("BatchManaged", "UserManaged", "NoPublicIPAddresses")),
                    ),
                }
            ),
        ),
    }
)
_START_TASK: Final = Fields(
    {
        **same("commandLine", "maxTaskRetryCount", "waitForSuccess"),
        "environmentSettings": ("environmentSettings", Each(Fields(same("name", "value")))),
        "resourceFiles": (
            "resourceFiles",
            Each(
                Fields(
                    {
                        **same("autoStorageContainerName", "storageContainerUrl", "httpUrl"),
                        **same("blobPrefix", "filePath", "fileMode"),
                        "identityReference": ("identityReference", _IDENTITY),
                    }
                )
            ),
        ),
        "userIdentity": (
            "userIdentity",
            Fields(
                {
                    "userName": ("username", SAME),
                    "autoUser": (
                        "autoUser",
                        Fields(
                            {
                                "scope": ("scope", Choice(("Task", "Pool"))),
                                "elevationLevel": ("elevationLevel", _ELEVATION),
                            }
                        ),
                    ),
                }
            ),
        ),
        "containerSettings": (
            "containerSettings",
            Fields(
                {
                    **same("imageName", "containerRunOptions"),
                    "registry": ("registry", _REGISTRY),
                    "workingDirectory": (
                        "workingDirectory",
                        Choice(
                            ("TaskWorkingDirectory", "ContainerImageDefault"),
                            ("taskWorkingDirectory", "containerImageDefault"),
                        ),
                    ),
                    "containerHostBatchBindMounts": (
                        "containerHostBatchBindMounts",
                        Each(Fields(same("source", "isReadOnly"))),
                    ),
                }
            ),
        ),
    }
)
_MOUNT: Final = Fields(
    {
        "azureBlobFileSystemConfiguration": (
            "azureBlobFileSystemConfiguration",
            Fields(
                {
                    **same("accountName", "containerName", "relativeMountPath"),
                    **same("accountKey", "sasKey", "blobfuseOptions"),
                    "identityReference": ("identityReference", _IDENTITY),
                }
            ),
        ),
        "nfsMountConfiguration": (
            "nfsMountConfiguration",
            Fields(same("source", "relativeMountPath", "mountOptions")),
        ),
        "cifsMountConfiguration": (
            "cifsMountConfiguration",
            Fields(
                {
                    **same("source", "relativeMountPath", "mountOptions", "password"),
                    "userName": ("username", SAME),
                }
            ),
        ),
        "azureFileShareConfiguration": (
            "azureFileShareConfiguration",
            Fields(
                same(
                    "accountName",
                    "azureFileUrl",
                    "accountKey",
                    "relativeMountPath",
                    "mountOptions",
                )
            ),
        ),
    }
)
_USER: Final = Fields(
    {
        **same("name", "password"),
        "elevationLevel": ("elevationLevel", _ELEVATION),
        "linuxUserConfiguration": (
            "linuxUserConfiguration",
            Fields(same("uid", "gid", "sshPrivateKey")),
        ),
        "windowsUserConfiguration": (
            "windowsUserConfiguration",
            Fields({"loginMode": ("loginMode", Choice(("Batch", "Interactive")))}),
        ),
    }
)
_UPGRADE: Final = Fields(
    {
        "mode": ("mode", Choice(("automatic", "manual", "rolling"))),
        "automaticOSUpgradePolicy": (
            "automaticOSUpgradePolicy",
            Fields(
                same(
                    "disableAutomaticRollback",
                    "enableAutomaticOSUpgrade",
                    "osRollingUpgradeDeferral",
                    "useRollingUpgradePolicy",
                )
            ),
        ),
        "rollingUpgradePolicy": (
            "rollingUpgradePolicy",
            Fields(
                same(
                    "enableCrossZoneUpgrade",
                    "maxBatchInstancePercent",
                    "maxUnhealthyInstancePercent",
                    "maxUnhealthyUpgradedInstancePercent",
                    "pauseTimeBetweenBatches",
                    "prioritizeUnhealthyInstances",
                    "rollbackFailedInstancesOnPolicyBreach",
                )
            ),
        ),
    }
)

FIELDS: Final[Mapping[str, tuple[str, Shape]]] = MappingProxyType(
    {
        **same("displayName", "vmSize", "taskSlotsPerNode"),
        "applicationPackages": (
            "applicationPackageReferences",
            Each(Fields({"id": ("applicationId", _ApplicationId()), **same("version")})),
        ),
        "deploymentConfiguration": (
            "virtualMachineConfiguration",
            # Only virtual machines are left of what deployments could be.
            Fields({"virtualMachineConfiguration": ("machine", _MACHINE)}),
        ),
        "interNodeCommunication": ("enableInterNodeCommunication", _Communication()),
        "metadata": ("metadata", Each(Fields(same("name", "value")))),
        "mountConfiguration": ("mountConfiguration", Each(_MOUNT)),
        "networkConfiguration": ("networkConfiguration", _NETWORK),
        "startTask": ("startTask", _START_TASK),
        "taskSchedulingPolicy": (
            "taskSchedulingPolicy",
            Fields({"nodeFillType": ("nodeFillType", Choice(("Spread", "Pack")))}),
        ),
        "upgradePolicy": ("upgradePolicy", _UPGRADE),
        "userAccounts": ("userAccounts", Each(_USER)),
    }
)
"""Every property but the scale, which is flat in the service, and the identity."""

_FIXED: Final = Fields(same("targetDedicatedNodes", "targetLowPriorityNodes", "resizeTimeout"))
_AUTOMATIC: Final = Fields(
    {
        "formula": ("autoScaleFormula", SAME),
        "evaluationInterval": ("autoScaleEvaluationInterval", SAME),
    }
)


def to_wire(context: Context) -> dict[str, Any]:
    """The body of a pool as `POST /pools` takes it, with its `identity`.

    Raises:
        ArmError: A property has no place in the service.
    """
    body: dict[str, Any] = {"id": context.name}
    elsewhere = _PATH | ARM_ONLY | {"scaleSettings", "identity"}
    try:
        for name, value in context.inputs.items():
            if name not in elsewhere and value is not None:
                body |= property_to_wire(name, value)
        body |= scale_to_wire(context.inputs.get("scaleSettings"))
    except UnmappedError as error:
        raise ArmError(
            400,
            "InvalidPropertyValue",
            f"the Batch service that stands behind Resource Manager here has no place for "
            f"'{error}' of pool {context.name}: leave it out.",
        ) from None
    if (identity := context.inputs.get("identity")) is not None:
        body["identity"] = _identity(context, identity)
    return body


def property_to_wire(name: str, value: Any) -> dict[str, Any]:
    """The members of the body that one property becomes.

    Raises:
        UnmappedError: It holds a property without a place.
    """
    if name not in FIELDS:
        raise UnmappedError(name)
    wire, shape = FIELDS[name]
    mapped = shape.to_wire(value, name)
    return {wire: mapped.get("machine", {}) if name == "deploymentConfiguration" else mapped}


def property_to_arm(name: str, body: Mapping[str, Any]) -> Any:
    """One property as the service's pool has it, None if it has none."""
    wire, shape = FIELDS[name]
    found = body.get(wire)
    if found is None:
        return None
    return shape.to_arm({"machine": found} if name == "deploymentConfiguration" else found)


def scale_to_wire(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The flat members that scale settings become; without any, a fixed pool of none.

    Raises:
        UnmappedError: They hold a property without a place.
    """
    settings = settings or {}
    automatic = settings.get("autoScale")
    if automatic is not None:
        return {
            "enableAutoScale": True,
            **_AUTOMATIC.to_wire(automatic, "scaleSettings.autoScale"),
        }
    fixed = _FIXED.to_wire(settings.get("fixedScale") or {}, "scaleSettings.fixedScale")
    targets = {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 0}
    return {"enableAutoScale": False, **targets, **fixed}


def scale_to_arm(body: Mapping[str, Any]) -> dict[str, Any]:
    """Scale settings as the service's pool has them."""
    if body.get("enableAutoScale"):
        return {"autoScale": _AUTOMATIC.to_arm(body)}
    return {"fixedScale": _FIXED.to_arm(body)}


def found_inputs(context: Context, body: Mapping[str, Any]) -> dict[str, Any]:
    """The pool's properties with whatever somebody changed in the service meanwhile.

    A property that the service has as it was put keeps its spelling. Of what was not
    put, only what can be changed on a living pool is looked at: the rest are defaults.
    """
    inputs = dict(context.inputs)
    for name in FIELDS:
        if name in inputs:
            drifted = not covers(body, property_to_wire(name, inputs[name]))
        else:
            drifted = name in LIVE and bool(body.get(FIELDS[name][0]))
        if drifted:
            inputs[name] = property_to_arm(name, body)
    if not covers(body, scale_to_wire(inputs.get("scaleSettings"))):
        inputs["scaleSettings"] = scale_to_arm(body)
    return {name: value for name, value in inputs.items() if value is not None}


def _identity(context: Context, identity: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": identity.get("type"),
        "userAssignedIdentities": [
            {
                "resourceId": one,
                "clientId": context.guid("client", one),
                "principalId": context.guid("principal", one),
            }
            for one in identity.get("userAssignedIdentities") or []
        ],
    }
