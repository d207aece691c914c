"""One storage account with its containers, closed by default.

What it deliberately does not do: hand out keys. Shared keys are off unless the stack
runs on the emulator, no container is ever public, and who may read or write is said by
role assignments elsewhere. Nor does it create blobs: `jobs` stages them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native.storage import (
    AccessTier,
    BlobContainer,
    BlobServiceProperties,
    DateAfterModificationArgs,
    DefaultAction,
    DeleteRetentionPolicyArgs,
    ManagementPolicy,
    ManagementPolicyActionArgs,
    ManagementPolicyBaseBlobArgs,
    ManagementPolicyDefinitionArgs,
    ManagementPolicyFilterArgs,
    ManagementPolicyRuleArgs,
    ManagementPolicySchemaArgs,
    NetworkRuleSetArgs,
    PublicAccess,
    SkuArgs,
    StorageAccount,
)

from infra.components.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageArgs:
    """Args of `Storage`.

    Attributes:
        account: Logical name of the account, 3 to 16 lower-case letters and digits; the
            engine appends 8 hexadecimal digits.
        containers: Container names, by what they hold.
        delete_after_days: Days after its last change at which a blob goes, by container
            name; containers that are not in it keep their blobs.
        allow_shared_keys: For the emulator alone.
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
    containers: Mapping[str, str] = field(default_factory=dict)
    delete_after_days: Mapping[str, int] = field(default_factory=dict)


class Storage(pulumi.ComponentResource):
    """A storage account.

    Attributes:
        account_id: Resource id.
        account_name: Its name in Azure.
        blob_endpoint: URL of its blobs, without a trailing slash.
        blob_service_id: Resource id of its blob service, which diagnostics are about.
        containers: Container names as created, by what they hold.
    """

    account_id: pulumi.Output[str]
    account_name: pulumi.Output[str]
    blob_endpoint: pulumi.Output[str]
    blob_service_id: pulumi.Output[str]
    containers: Mapping[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Storage", name, {}, opts)
        account = StorageAccount(
            args.account,
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            tags=args.place.tags,
            kind="StorageV2",
            sku=SkuArgs(name=f"Standard_{args.replication}"),
            access_tier=AccessTier.HOT,
            allow_shared_key_access=args.allow_shared_keys,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            enable_https_traffic_only=True,
            is_local_user_enabled=False,
            minimum_tls_version="TLS1_2",
            public_network_access="Enabled" if args.public_network_access else "Disabled",
            network_rule_set=NetworkRuleSetArgs(
                bypass="AzureServices",
                default_action=(
                    DefaultAction.ALLOW if args.public_network_access else DefaultAction.DENY
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        retention = DeleteRetentionPolicyArgs(enabled=True, days=args.soft_delete_days)
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
        self.containers = {
            kind: BlobContainer(
                f"{name}-{kind}",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                container_name=container,
                public_access=PublicAccess.NONE,
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            ).name
            for kind, container in args.containers.items()
        }
        if args.delete_after_days:
            ManagementPolicy(
                f"{name}-lifecycle",
                resource_group_name=args.place.resource_group_name,
                account_name=account.name,
                management_policy_name="default",
                policy=ManagementPolicySchemaArgs(
                    rules=[
                        _delete_rule(container, days)
                        for container, days in sorted(args.delete_after_days.items())
                    ]
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.account_id = account.id
        self.account_name = account.name
        self.blob_service_id = pulumi.Output.concat(account.id, "/blobServices/default")
        self.blob_endpoint = account.primary_endpoints.apply(
            lambda endpoints: endpoints.blob.rstrip("/")
        )
        self.register_outputs(
            {"account_name": self.account_name, "blob_endpoint": self.blob_endpoint}
        )


def _delete_rule(container: str, days: int) -> ManagementPolicyRuleArgs:
    return ManagementPolicyRuleArgs(
        name=f"delete-{container}",
        type="Lifecycle",
        enabled=True,
        definition=ManagementPolicyDefinitionArgs(
            filters=ManagementPolicyFilterArgs(
                blob_types=["blockBlob"], prefix_match=[f"{container}/"]
            ),
            actions=ManagementPolicyActionArgs(
                base_blob=ManagementPolicyBaseBlobArgs(
                    delete=DateAfterModificationArgs(days_after_modification_greater_than=days)
                )
            ),
        ),
    )
