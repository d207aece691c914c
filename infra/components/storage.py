"""One storage account with what is in it, closed by default.

What it deliberately does not do: hand out keys. Shared keys are off unless the stack runs
on the emulator or a share can be mounted in no other way, no container is ever public, and
who may read or write is said by role assignments elsewhere. Nor does it create blobs:
`jobs` stages them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native.storage import (
    AccessTier,
    Action,
    BlobContainer,
    BlobServiceProperties,
    DefaultAction,
    DeleteRetentionPolicyArgs,
    FileServiceProperties,
    FileShare,
    IPRuleArgs,
    ManagementPolicy,
    ManagementPolicySchemaArgs,
    NetworkRuleSetArgs,
    PublicAccess,
    SkuArgs,
    StorageAccount,
    VirtualNetworkRuleArgs,
)

from infra.components.lifecycle import Lifecycle, lifecycle_rules
from infra.components.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKind:
    """What sort of account it is.

    Attributes:
        kind: Azure's word.
        tier: `Standard` or `Premium`.
        is_hierarchical: Whether blobs lie in directories, which can never be changed.
        has_nfs: Whether containers are exported over NFS 3.0, which can never be changed.
        requires_https: Whether unencrypted protocols are refused; NFS 4.1 is one.
    """

    kind: str = "StorageV2"
    tier: str = "Standard"
    is_hierarchical: bool = False
    has_nfs: bool = False
    requires_https: bool = True

    @property
    def has_blobs(self) -> bool:
        """Whether there is a blob service in it."""
        return self.kind != "FileStorage"


BLOBS = AccountKind()
_LONGEST_PREFIX = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A file share; `protocol` is `NFS` or `SMB`."""

    protocol: str
    size_gib: int
    root_squash: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageArgs:
    """Args of `Storage`.

    Attributes:
        account: Logical name of the account, 3 to 16 lower-case letters and digits; the
            engine appends 8 hexadecimal digits.
        subnet_ids: Subnets that alone reach the account, or None to leave that to
            `public_network_access`.
        allow_from: Addresses that reach it, too.
        containers: Container names, by what they hold.
        shares: File shares, by name.
        root_squash: Containers in which root on an NFS client is nobody special.
        lifecycle: What becomes of blobs in time, by container name.
        allow_shared_keys: For the emulator, and where nothing else opens a share.
        protect: Whether Pulumi refuses to delete the account.
    """

    place: Place
    account: str
    replication: str
    public_network_access: bool
    soft_delete_days: int
    versioning: bool
    allow_shared_keys: bool
    protect: bool
    kind: AccountKind = BLOBS
    subnet_ids: Sequence[pulumi.Input[str]] | None = None
    allow_from: Sequence[IPv4Network] = ()
    containers: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    root_squash: frozenset[str] = frozenset()
    lifecycle: Mapping[str, Lifecycle] = field(default_factory=dict)


class Storage(pulumi.ComponentResource):
    """A storage account.

    Attributes:
        account_id: Resource id.
        account_name: Its name in Azure.
        blob_endpoint: URL of its blobs, without a trailing slash.
        blob_service_id: Resource id of its blob service, which diagnostics are about.
        containers: Container names as created, by what they hold.
        container_ids: Their resource ids, likewise.
        ready: What must exist before somebody uses what is in it.
    """

    account_id: pulumi.Output[str]
    account_name: pulumi.Output[str]
    blob_endpoint: pulumi.Output[str]
    blob_service_id: pulumi.Output[str]
    containers: Mapping[str, pulumi.Output[str]]
    container_ids: Mapping[str, pulumi.Output[str]]
    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Storage", name, {}, opts)
        account = self._account(args)
        retention = DeleteRetentionPolicyArgs(enabled=True, days=args.soft_delete_days)
        if args.kind.has_blobs:
            BlobServiceProperties(
                f"{name}-blobs",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                blob_services_name="default",
                delete_retention_policy=retention,
                container_delete_retention_policy=retention,
                is_versioning_enabled=args.versioning,
                opts=pulumi.ResourceOptions(parent=self),
            )
        else:
            FileServiceProperties(
                f"{name}-files",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                file_services_name="default",
                share_delete_retention_policy=retention,
                opts=pulumi.ResourceOptions(parent=self),
            )
        made = {
            what: BlobContainer(
                f"{name}-{what}",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                container_name=container,
                public_access=PublicAccess.NONE,
                enable_nfs_v3_root_squash=True if container in args.root_squash else None,
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            )
            for what, container in args.containers.items()
        }
        shares = [
            FileShare(
                f"{name}-{share_name}",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                share_name=share_name,
                enabled_protocols=share.protocol,
                share_quota=share.size_gib,
                root_squash=_root_squash(share),
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            )
            for share_name, share in args.shares.items()
        ]
        # Azure takes no policy without a rule.
        if rules := lifecycle_rules(args.lifecycle):
            ManagementPolicy(
                f"{name}-lifecycle",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                management_policy_name="default",
                policy=ManagementPolicySchemaArgs(rules=rules),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.account_id = account.id
        self.account_name = account.name
        self.blob_service_id = pulumi.Output.concat(account.id, "/blobServices/default")
        self.blob_endpoint = account.primary_endpoints.apply(
            lambda endpoints: endpoints.blob.rstrip("/")
        )
        self.containers = {what: container.name for what, container in made.items()}
        self.container_ids = {what: container.id for what, container in made.items()}
        self.ready = (*made.values(), *shares)
        self.register_outputs(
            {"account_name": self.account_name, "blob_endpoint": self.blob_endpoint}
        )

    def _account(self, args: StorageArgs) -> StorageAccount:
        kind = args.kind
        is_open = args.public_network_access
        return StorageAccount(
            args.account,
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            kind=kind.kind,
            sku=SkuArgs(name=f"{kind.tier}_{args.replication}"),
            access_tier=AccessTier.HOT if kind.tier == "Standard" else None,
            is_hns_enabled=True if kind.is_hierarchical else None,
            enable_nfs_v3=True if kind.has_nfs else None,
            allow_shared_key_access=args.allow_shared_keys,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            enable_https_traffic_only=kind.requires_https,
            is_local_user_enabled=False,
            minimum_tls_version="TLS1_2",
            public_network_access="Enabled" if is_open else "Disabled",
            network_rule_set=NetworkRuleSetArgs(
                bypass="AzureServices",
                default_action=(
                    DefaultAction.ALLOW
                    if is_open and args.subnet_ids is None
                    else DefaultAction.DENY
                ),
                virtual_network_rules=(
                    [
                        VirtualNetworkRuleArgs(virtual_network_resource_id=i)
                        for i in args.subnet_ids
                    ]
                    if args.subnet_ids
                    else None
                ),
                ip_rules=(
                    [
                        IPRuleArgs(action=Action.ALLOW, i_p_address_or_range=one)
                        for one in firewall_addresses(args.allow_from)
                    ]
                    if args.allow_from
                    else None
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )


def firewall_addresses(networks: Sequence[IPv4Network]) -> list[str]:
    """Networks as the firewall takes them: the smallest ones address by address.

    Source: https://learn.microsoft.com/azure/storage/common/storage-network-security
    """
    found: list[str] = []
    for network in networks:
        small = network.prefixlen > _LONGEST_PREFIX
        found += map(str, network) if small else [str(network)]
    return found


def _root_squash(share: Share) -> str | None:
    if share.protocol != "NFS":
        return None
    return "RootSquash" if share.root_squash else "NoRootSquash"
