"""What a pool's nodes are made of: image, disks, network, mounted file systems."""

from __future__ import annotations

from typing import Any

from emulator.engine.refusal import Refused, invalid
from emulator.service.bodies.parts import identity_reference, registry, url
from emulator.service.schema import (
    REQUIRED,
    Member,
    anything,
    boolean,
    choice,
    integer,
    listing,
    record,
    text,
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
machine = record(
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
            Member("containerRegistries", listing(registry)),
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
network = record(
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
    Member("enableAcceleratedNetworking", boolean, False),  # noqa: FBT003 - a default of the wire
)


def _one_mount(mount: dict[str, Any]) -> None:
    if len(mount) != 1:
        raise invalid(
            "mountConfiguration", ", ".join(mount), "Exactly one file system must be set"
        )


_mount_path = Member("relativeMountPath", text(least=1), REQUIRED)
mounts = listing(
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
                Member("identityReference", identity_reference),
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
                Member("azureFileUrl", url, REQUIRED),
                Member("accountKey", text(), REQUIRED, hidden=True),
                _mount_path,
                Member("mountOptions", text()),
            ),
        ),
        rule=_one_mount,
    ),
    most=10,
)
