"""A pool's equipment as arguments of azure-native's pool.

Plain data, like the rest of what only a new pool can have, so that it goes into the
digest that names the pool. What is left out of the config is left out here: a plain
pool's arguments, and with them its name, are the same as without this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pulumi
from pulumi_azure_native.batch import (
    CachingType,
    ContainerConfigurationArgsDict,
    ContainerType,
    DataDiskArgsDict,
    ElevationLevel,
    InboundEndpointProtocol,
    InboundNatPoolArgsDict,
    NetworkSecurityGroupRuleAccess,
    NetworkSecurityGroupRuleArgsDict,
    NodePlacementPolicyType,
    OSDiskArgsDict,
    PoolEndpointConfigurationArgsDict,
    SecurityProfileArgsDict,
    SecurityTypes,
    StorageAccountType,
    VirtualMachineConfigurationArgsDict,
    VMExtensionArgsDict,
)

from infra.components.file_systems import MountedFileSystem
from infra.equipment import (
    BlobMount,
    CifsMount,
    ContainersConfig,
    DataDiskConfig,
    EquipmentConfig,
    ExtensionConfig,
    FilesMount,
    FileSystemMount,
    InboundConfig,
    NfsMount,
    OsDiskConfig,
    UpgradePolicyConfig,
    UserAccountConfig,
)
from infra.file_systems import TYPES

Secret = Callable[[str], pulumi.Input[str]]

FIRST_PRIORITY: Final = 150
_LAST_PRIORITY: Final = 4096
_CACHING: Final = {
    "none": CachingType.NONE,
    "read-only": CachingType.READ_ONLY,
    "read-write": CachingType.READ_WRITE,
}


def equip_machine(
    machine: VirtualMachineConfigurationArgsDict,
    equipment: EquipmentConfig,
    *,
    identity_id: pulumi.Input[str],
    registry_server: str | None,
) -> None:
    """Adds what belongs to the virtual machine: containers, disks, extensions, zones.

    Args:
        machine: Is added to.
        equipment: The config's.
        identity_id: Identity with which nodes sign in to registries.
        registry_server: The stack's own registry, or None without one.
    """
    if equipment.containers is not None:
        own = () if registry_server is None else (registry_server,)
        machine["container_configuration"] = _containers(
            equipment.containers, identity_id, tuple({*equipment.containers.registries, *own})
        )
    if equipment.data_disks:
        machine["data_disks"] = [_disk(disk) for disk in equipment.data_disks]
    if equipment.zones is not None:
        policy = NodePlacementPolicyType(equipment.zones.capitalize())
        machine["node_placement_configuration"] = {"policy": policy}
    if equipment.extensions:
        machine["extensions"] = [
            _extension(name, extension) for name, extension in sorted(equipment.extensions.items())
        ]


def os_disk(config: OsDiskConfig) -> OSDiskArgsDict:
    """The system's disk; what the config leaves out is Batch's choice."""
    disk: OSDiskArgsDict = {}
    if config.size_gib is not None:
        disk["disk_size_gb"] = config.size_gib
    if config.storage is not None:
        disk["managed_disk"] = {"storage_account_type": StorageAccountType(config.storage)}
    if config.caching is not None:
        disk["caching"] = _CACHING[config.caching]
    return disk


def security_profile(*, encryption_at_host: bool, trusted_launch: bool) -> SecurityProfileArgsDict:
    """What protects a node from below."""
    profile: SecurityProfileArgsDict = {}
    if encryption_at_host:
        profile["encryption_at_host"] = True
    if trusted_launch:
        profile["security_type"] = SecurityTypes.TRUSTED_LAUNCH
        profile["uefi_settings"] = {"secure_boot_enabled": True, "v_tpm_enabled": True}
    return profile


def pool_arguments(
    equipment: EquipmentConfig,
    *,
    data_account_name: pulumi.Input[str],
    identity_id: pulumi.Input[str],
    file_systems: Mapping[str, MountedFileSystem],
    secret: Secret,
) -> dict[str, Any]:
    """What of the equipment belongs to the pool: mounts, accounts, upgrades.

    Args:
        equipment: The config's.
        data_account_name: Account of blob mounts that name none.
        identity_id: Identity with which nodes read and write blobs.
        file_systems: Those that the stack makes, by name.
        secret: Gives a secret of `hpc-secrets` by its name.
    """
    arguments: dict[str, Any] = {}
    if equipment.mounts:
        arguments["mount_configuration"] = [
            _mount_file_system(mount, file_systems[mount.file_system], identity_id)
            if isinstance(mount, FileSystemMount)
            else _mount(mount, data_account_name, identity_id, secret)
            for mount in equipment.mounts
        ]
    if equipment.user_accounts:
        arguments["user_accounts"] = [
            _account(name, account, secret)
            for name, account in sorted(equipment.user_accounts.items())
        ]
    if equipment.upgrade_policy is not None:
        arguments["upgrade_policy"] = _upgrade(equipment.upgrade_policy)
    return arguments


def endpoint_arguments(inbound: Mapping[str, InboundConfig]) -> PoolEndpointConfigurationArgsDict:
    """The endpoint configuration of inbound ports.

    Batch opens a port to everybody unless its rules say otherwise, so the last rule of
    each denies. Priorities run on over all ports of the pool, as Batch wants them unique.
    """
    pools: list[InboundNatPoolArgsDict] = []
    priority = FIRST_PRIORITY
    last = _LAST_PRIORITY
    for name, port in sorted(inbound.items()):
        rules: list[NetworkSecurityGroupRuleArgsDict] = []
        for source in port.allow_from:
            rules.append(_rule(priority, NetworkSecurityGroupRuleAccess.ALLOW, str(source)))
            priority += 1
        rules.append(_rule(last, NetworkSecurityGroupRuleAccess.DENY, "*"))
        last -= 1
        pools.append(
            {
                "name": name,
                "protocol": InboundEndpointProtocol(port.protocol),
                "backend_port": port.port,
                "frontend_port_range_start": port.first_frontend_port,
                "frontend_port_range_end": port.last_frontend_port,
                "network_security_group_rules": rules,
            }
        )
    return {"inbound_nat_pools": pools}


def _rule(
    priority: int, access: NetworkSecurityGroupRuleAccess, source: str
) -> NetworkSecurityGroupRuleArgsDict:
    return {"priority": priority, "access": access, "source_address_prefix": source}


def _containers(
    config: ContainersConfig, identity_id: pulumi.Input[str], registries: tuple[str, ...]
) -> ContainerConfigurationArgsDict:
    containers: ContainerConfigurationArgsDict = {"type": ContainerType.DOCKER_COMPATIBLE}
    if config.images:
        containers["container_image_names"] = list(config.images)
    if registries:
        containers["container_registries"] = [
            {"registry_server": server, "identity_reference": {"resource_id": identity_id}}
            for server in sorted(registries)
        ]
    return containers


def _disk(disk: DataDiskConfig) -> DataDiskArgsDict:
    return {
        "lun": disk.lun,
        "disk_size_gb": disk.size_gib,
        "caching": _CACHING[disk.caching],
        "storage_account_type": StorageAccountType(disk.storage),
    }


def _extension(name: str, extension: ExtensionConfig) -> VMExtensionArgsDict:
    arguments: VMExtensionArgsDict = {
        "name": name,
        "publisher": extension.publisher,
        "type": extension.type,
        "type_handler_version": extension.version,
        "auto_upgrade_minor_version": extension.auto_upgrade_minor_version,
        "enable_automatic_upgrade": extension.enable_automatic_upgrade,
    }
    if extension.settings:
        arguments["settings"] = extension.settings
    return arguments


def _mount_file_system(
    mount: FileSystemMount, made: MountedFileSystem, identity_id: pulumi.Input[str]
) -> dict[str, Any]:
    options = mount.mount_options or TYPES[made.config.type].mount_options
    account, name = made.account_name, mount.file_system
    match made.config.type:
        case "blobfuse":
            return {
                "azure_blob_file_system_configuration": {
                    "account_name": account,
                    "container_name": name,
                    "relative_mount_path": mount.path,
                    "identity_reference": {"resource_id": identity_id},
                    "blobfuse_options": options,
                }
            }
        case "blob-nfs" | "files-nfs" as kind:
            host = f".{'blob' if kind == 'blob-nfs' else 'file'}.core.windows.net:/"
            return {
                "nfs_mount_configuration": {
                    "source": pulumi.Output.concat(account, host, account, "/", name),
                    "relative_mount_path": mount.path,
                    "mount_options": options,
                }
            }
        case "files-smb":
            url = pulumi.Output.concat("https://", account, ".file.core.windows.net/", name)
            return {
                "azure_file_share_configuration": {
                    "account_name": account,
                    "azure_file_url": url,
                    "account_key": made.account_key,
                    "relative_mount_path": mount.path,
                    "mount_options": options,
                }
            }


def _mount(
    mount: BlobMount | NfsMount | FilesMount | CifsMount,
    data_account_name: pulumi.Input[str],
    identity_id: pulumi.Input[str],
    secret: Secret,
) -> dict[str, Any]:
    match mount:
        case BlobMount():
            return {
                "azure_blob_file_system_configuration": {
                    "account_name": mount.account_name or data_account_name,
                    "container_name": mount.container,
                    "relative_mount_path": mount.path,
                    "identity_reference": {"resource_id": identity_id},
                    **_given("blobfuse_options", mount.blobfuse_options),
                }
            }
        case NfsMount():
            return {
                "nfs_mount_configuration": {
                    "source": mount.source,
                    "relative_mount_path": mount.path,
                    **_given("mount_options", mount.mount_options),
                }
            }
        case FilesMount():
            return {
                "azure_file_share_configuration": {
                    "account_name": mount.account_name,
                    "azure_file_url": mount.share_url,
                    "account_key": secret(mount.account_key_secret),
                    "relative_mount_path": mount.path,
                    **_given("mount_options", mount.mount_options),
                }
            }
        case CifsMount():
            return {
                "cifs_mount_configuration": {
                    "source": mount.source,
                    "user_name": mount.user_name,
                    "password": secret(mount.password_secret),
                    "relative_mount_path": mount.path,
                    **_given("mount_options", mount.mount_options),
                }
            }


def _given(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}


def _account(name: str, account: UserAccountConfig, secret: Secret) -> dict[str, Any]:
    return {
        "name": name,
        "password": secret(account.password_secret),
        "elevation_level": ElevationLevel.ADMIN if account.elevated else ElevationLevel.NON_ADMIN,
        **(
            {"linux_user_configuration": {"uid": account.uid, "gid": account.gid}}
            if account.uid is not None
            else {}
        ),
    }


def _upgrade(policy: UpgradePolicyConfig) -> dict[str, Any]:
    return {
        "mode": policy.mode,
        "automatic_os_upgrade_policy": {
            "enable_automatic_os_upgrade": policy.automatic_os_upgrade,
            "os_rolling_upgrade_deferral": policy.defer_while_tasks_run,
            "use_rolling_upgrade_policy": policy.mode == "rolling",
        },
        "rolling_upgrade_policy": {
            "max_batch_instance_percent": policy.max_batch_percent,
            "max_unhealthy_instance_percent": policy.max_unhealthy_percent,
            "max_unhealthy_upgraded_instance_percent": policy.max_unhealthy_upgraded_percent,
        },
    }
