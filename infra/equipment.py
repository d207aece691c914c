"""What the nodes of a pool are equipped with: config models, told nothing by default.

File systems, containers, disks, accounts, extensions, upgrades and, only on request, a
way in. Every one is fixed when a pool is created; a change makes a new pool.

No secret is ever written here. What Azure takes by key alone (Azure Files, CIFS, user
accounts) names a secret of the namespace `hpc-secrets`, kept encrypted by Pulumi:
`pulumi config set --secret hpc-secrets:NAME`.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from infra.file_systems import FileSystemName
from infra.model import Model
from infra.storage import ContainerName

SECRETS_NAMESPACE = "hpc-secrets"

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
# A file system is mounted below $AZ_BATCH_NODE_MOUNTS_DIR and must stay there.
MountPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$"),
]
StorageAccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{3,24}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,19}$")]
RegistryServer = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$")
]
ExtensionName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,79}$")]
# https://learn.microsoft.com/rest/api/batchservice/pool/add-pool, InboundNATPool
NatName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,75}[A-Za-z0-9_])?$")
]
PublicAddressId = Annotated[
    str,
    StringConstraints(
        pattern=r"(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers"
        r"/Microsoft\.Network/publicIPAddresses/[^/]+$"
    ),
]
Port = Annotated[int, Field(ge=1, le=65535)]
_PATH = Field(description="Directory below $AZ_BATCH_NODE_MOUNTS_DIR, such as `scratch`.")


class BlobMount(Model):
    """A blob container as a file system, by the nodes' identity and never by a key."""

    type: Literal["blob"]
    path: MountPath = _PATH
    container: ContainerName
    account_name: StorageAccountName | None = Field(
        default=None,
        description="Storage account; the data account when absent. On another one the nodes' "
        "identity needs Storage Blob Data Contributor.",
    )
    blobfuse_options: str = Field(default="", description="Options of blobfuse2.")


class NfsMount(Model):
    """An NFS export. NFS knows no keys: the network says who may reach it."""

    type: Literal["nfs"]
    path: MountPath = _PATH
    source: str = Field(pattern=r"^[A-Za-z0-9.-]+:/\S*$", description="`HOST:/EXPORT`.")
    mount_options: str = Field(
        default="", description="Such as `-o vers=4,minorversion=1,sec=sys`."
    )


class FilesMount(Model):
    """An Azure Files share over SMB, which Batch mounts by account key alone."""

    type: Literal["files"]
    path: MountPath = _PATH
    account_name: StorageAccountName
    share_url: str = Field(
        pattern=r"^https://[a-z0-9]{3,24}\.file\.[a-z0-9.]+/[a-z0-9-]+/?$",
        description="`https://ACCOUNT.file.core.windows.net/SHARE`.",
    )
    account_key_secret: SecretName = Field(
        description="Name of the account key in `hpc-secrets`, never the key."
    )
    mount_options: str = ""


class FileSystemMount(Model):
    """A file system that the stack makes, `hpc:storage: {file_systems: …}`."""

    type: Literal["file-system"]
    path: MountPath = _PATH
    file_system: FileSystemName = Field(description="Its name in `hpc:storage`.")
    mount_options: str = Field(
        default="", description="Options instead of those that the type has by itself."
    )


class CifsMount(Model):
    """A CIFS share of one's own."""

    type: Literal["cifs"]
    path: MountPath = _PATH
    source: str = Field(pattern=r"^//[A-Za-z0-9.-]+/\S+$", description="`//HOST/SHARE`.")
    user_name: str = Field(min_length=1)
    password_secret: SecretName = Field(
        description="Name of the password in `hpc-secrets`, never the password."
    )
    mount_options: str = ""


def _mount_type(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if isinstance(kind, str) else None


Mount = Annotated[
    Annotated[BlobMount, Tag("blob")]
    | Annotated[NfsMount, Tag("nfs")]
    | Annotated[FilesMount, Tag("files")]
    | Annotated[CifsMount, Tag("cifs")]
    | Annotated[FileSystemMount, Tag("file-system")],
    Discriminator(
        _mount_type,
        custom_error_type="mount_type",
        custom_error_message="`type` is one of blob, nfs, files, cifs, file-system",
    ),
]


class ContainersConfig(Model):
    """Tasks run in containers: Docker on each node, images fetched before the first task."""

    images: tuple[Annotated[str, StringConstraints(pattern=r"^\S+$")], ...] = Field(
        default=(), description="Images that each node fetches before it takes tasks."
    )
    registries: tuple[RegistryServer, ...] = Field(
        default=(),
        description="Registries that nodes sign in to by identity, which needs AcrPull there.",
    )


class DataDiskConfig(Model):
    """An empty disk; tasks find it unformatted."""

    lun: int = Field(ge=0, le=63, description="Logical unit number, unique in the pool.")
    size_gib: int = Field(ge=1, le=32767)
    caching: Literal["none", "read-only", "read-write"] = "none"
    storage: Literal["Standard_LRS", "StandardSSD_LRS", "Premium_LRS"] = "StandardSSD_LRS"


class OsDiskConfig(Model):
    """The disk that the operating system is on."""

    size_gib: int | None = Field(
        default=None, ge=1, le=4095, description="Larger than the image's own; that when absent."
    )
    storage: Literal["Standard_LRS", "StandardSSD_LRS", "Premium_LRS"] | None = Field(
        default=None, description="What it is made of; Batch's choice when absent."
    )
    caching: Literal["none", "read-only", "read-write"] | None = None


class StartFileConfig(Model):
    """Files that a node downloads before its start task, by its identity; one source."""

    url: str | None = Field(
        default=None,
        pattern=r"^https://\S+$",
        description="One blob or file, without a signature.",
    )
    container: str | None = Field(
        default=None, description="Container of the data account; all blobs below `prefix`."
    )
    prefix: str = Field(default="", description="What names of blobs begin with.")
    path: str = Field(default="", description="File, or directory, in the start task's directory.")
    mode: str | None = Field(default=None, pattern=r"^[0-7]{3,4}$", description="Such as `0755`.")


class UserAccountConfig(Model):
    """An account on each node, that tasks may run as."""

    password_secret: SecretName = Field(
        description="Name of the password in `hpc-secrets`, never the password."
    )
    elevated: bool = Field(default=False, description="An administrator.")
    uid: int | None = Field(default=None, ge=1, description="Linux: together with gid.")
    gid: int | None = Field(default=None, ge=1, description="Linux: together with uid.")


class ExtensionConfig(Model):
    """A virtual machine extension of those that Batch allows."""

    publisher: str = Field(min_length=1)
    type: str = Field(min_length=1)
    version: str = Field(pattern=r"^\d+\.\d+$", description="Major and minor, such as `1.0`.")
    auto_upgrade_minor_version: bool = True
    enable_automatic_upgrade: bool = False
    settings: dict[str, str | int | bool] = Field(
        default_factory=dict, description="Settings of the extension; never secrets."
    )


class UpgradePolicyConfig(Model):
    """How new image versions reach nodes that exist; without it, never."""

    mode: Literal["automatic", "manual", "rolling"]
    automatic_os_upgrade: bool = Field(default=True, description="Follows new image versions.")
    defer_while_tasks_run: bool = Field(
        default=True, description="A node that runs a task is upgraded after it."
    )
    max_batch_percent: int = Field(
        default=20, ge=5, le=100, description="Most nodes that upgrade at a time."
    )
    max_unhealthy_percent: int = Field(default=20, ge=5, le=100)
    max_unhealthy_upgraded_percent: int = Field(default=20, ge=0, le=100)


class InboundConfig(Model):
    """A port of each node that the internet reaches, from named addresses alone."""

    port: Port = Field(description="Port on the node.")
    protocol: Literal["TCP", "UDP"] = "TCP"
    first_frontend_port: Port = Field(description="First public port; a node each from there.")
    last_frontend_port: Port
    allow_from: tuple[IPv4Network, ...] = Field(
        min_length=1, description="Who may connect, such as `203.0.113.7/32`; all else is denied."
    )


class EquipmentConfig(Model):
    """Everything of a pool that a plain one does without; all of it fixed at creation."""

    mounts: tuple[Mount, ...] = Field(default=(), description="File systems of each node.")
    containers: ContainersConfig | None = Field(
        default=None, description="Tasks run in containers."
    )
    data_disks: tuple[DataDiskConfig, ...] = Field(default=(), description="Empty disks.")
    user_accounts: dict[UserName, UserAccountConfig] = Field(
        default_factory=dict, description="Accounts on each node, by name."
    )
    extensions: dict[ExtensionName, ExtensionConfig] = Field(
        default_factory=dict, description="Extensions by a name of one's own."
    )
    os_disk: OsDiskConfig | None = Field(
        default=None, description="The system's disk; an ephemeral one has neither size nor kind."
    )
    trusted_launch: bool = Field(
        default=False, description="Secure boot and a virtual TPM; nothing unsigned is loaded."
    )
    zones: Literal["regional", "zonal"] | None = Field(
        default=None, description="Nodes in one zone of the region's or spread over them."
    )
    accelerated_networking: bool = Field(
        default=False, description="Less latency and jitter, where the size allows it."
    )
    public_ip_ids: tuple[PublicAddressId, ...] = Field(
        default=(),
        description="Public addresses of one's own, by resource id, that nodes leave from: one "
        "for each 100 nodes.",
    )
    upgrade_policy: UpgradePolicyConfig | None = Field(
        default=None, description="How new image versions reach nodes that exist."
    )
    inbound: dict[NatName, InboundConfig] = Field(
        default_factory=dict,
        description="Ports that named addresses reach from outside; none without this.",
    )

    def secret_names(self) -> frozenset[str]:
        """Names in `hpc-secrets` that deploying the pool asks for."""
        mounts = {
            mount.account_key_secret if isinstance(mount, FilesMount) else mount.password_secret
            for mount in self.mounts
            if isinstance(mount, FilesMount | CifsMount)
        }
        return frozenset(mounts | {one.password_secret for one in self.user_accounts.values()})
