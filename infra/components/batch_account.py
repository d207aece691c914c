"""The Batch account: Entra only, with storage for application packages by identity.

What it deliberately does not do: read keys. In Azure the account has none that work; on
a laptop the emulator keeps its own. Nor does it give Batch the role on the subscription
that making nodes there needs: a role for all stacks of a subscription is none's to take
away again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native.batch import (
    AuthenticationMode,
    AutoStorageAuthenticationMode,
    AutoStorageBasePropertiesArgs,
    BatchAccountIdentityArgs,
    ComputeNodeIdentityReferenceArgs,
    EncryptionPropertiesArgs,
    EndpointAccessDefaultAction,
    EndpointAccessProfileArgs,
    IPRuleAction,
    IPRuleArgs,
    KeySource,
    KeyVaultPropertiesArgs,
    KeyVaultReferenceArgs,
    NetworkProfileArgs,
    PoolAllocationMode,
    PublicNetworkAccessType,
    ResourceIdentityType,
)

from infra.components.place import Place
from infra.components.readback import BatchAccount as AzureBatchAccount
from infra.endpoints import endpoint_url


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultReference:
    """A key vault: its resource id, and where it answers."""

    vault_id: pulumi.Input[str]
    url: pulumi.Input[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAccountArgs:
    """Args of `BatchAccount`.

    Attributes:
        account: Logical name, 3 to 16 lower-case letters and digits; the engine appends
            8 hexadecimal digits.
        identity_id: Identity with which the account manages application packages.
        node_identity_id: Identity with which nodes download them.
        packages_account_id: Storage account of application packages.
        allow_from: Addresses that alone reach the data plane from outside; any when empty.
            Nodes may come from anywhere: theirs are not known before they are there.
        allow_shared_keys: For the emulator alone.
        nodes_vault: Key vault of nodes that are made in the stack's own subscription, or
            None where Batch makes them in its own.
        encryption_key_url: Key that encrypts what Batch keeps, or None for Microsoft's.
        after: What must exist first, such as the identity's grants.
    """

    place: Place
    account: str
    identity_id: pulumi.Input[str]
    node_identity_id: pulumi.Input[str]
    packages_account_id: pulumi.Input[str]
    public_network_access: bool
    allow_from: Sequence[IPv4Network] = ()
    allow_shared_keys: bool
    nodes_vault: VaultReference | None = None
    encryption_key_url: pulumi.Input[str] | None = None
    protect: bool
    after: tuple[pulumi.Resource, ...]


class BatchAccount(pulumi.ComponentResource):
    """A Batch account.

    Attributes:
        resource: The account itself, with which what is in it goes.
        account_id: Resource id.
        account_name: Its name in Azure.
        endpoint: URL of its data plane, without a trailing slash.
    """

    resource: pulumi.Resource
    account_id: pulumi.Output[str]
    account_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]

    def __init__(
        self, name: str, args: BatchAccountArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:BatchAccount", name, {}, opts)
        modes = [AuthenticationMode.AAD]
        if args.allow_shared_keys:
            modes.append(AuthenticationMode.SHARED_KEY)
        account = AzureBatchAccount(
            args.account,
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            pool_allocation_mode=(
                PoolAllocationMode.USER_SUBSCRIPTION
                if args.nodes_vault
                else PoolAllocationMode.BATCH_SERVICE
            ),
            key_vault_reference=(
                KeyVaultReferenceArgs(id=args.nodes_vault.vault_id, url=args.nodes_vault.url)
                if args.nodes_vault
                else None
            ),
            encryption=_encryption(args.encryption_key_url),
            allowed_authentication_modes=modes,
            identity=BatchAccountIdentityArgs(
                type=ResourceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.identity_id],
            ),
            auto_storage=AutoStorageBasePropertiesArgs(
                storage_account_id=args.packages_account_id,
                authentication_mode=AutoStorageAuthenticationMode.BATCH_ACCOUNT_MANAGED_IDENTITY,
                node_identity_reference=ComputeNodeIdentityReferenceArgs(
                    resource_id=args.node_identity_id
                ),
            ),
            public_network_access=(
                PublicNetworkAccessType.ENABLED
                if args.public_network_access
                else PublicNetworkAccessType.DISABLED
            ),
            network_profile=_selected(args.allow_from) if args.allow_from else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=list(args.after),
                # Azure cannot change it, and azure-native does not know.
                replace_on_changes=["poolAllocationMode"],
            ),
        )
        self.resource = account
        self.account_id = account.id
        self.account_name = account.name
        self.endpoint = account.account_endpoint.apply(endpoint_url)
        self.register_outputs({"account_name": self.account_name, "endpoint": self.endpoint})


def _selected(addresses: Sequence[IPv4Network]) -> NetworkProfileArgs:
    return NetworkProfileArgs(
        account_access=EndpointAccessProfileArgs(
            default_action=EndpointAccessDefaultAction.DENY,
            ip_rules=[IPRuleArgs(action=IPRuleAction.ALLOW, value=str(one)) for one in addresses],
        ),
        node_management_access=EndpointAccessProfileArgs(
            default_action=EndpointAccessDefaultAction.ALLOW
        ),
    )


def _encryption(key_url: pulumi.Input[str] | None) -> EncryptionPropertiesArgs | None:
    if key_url is None:
        return None
    return EncryptionPropertiesArgs(
        key_source=KeySource.MICROSOFT_KEY_VAULT,
        key_vault_properties=KeyVaultPropertiesArgs(key_identifier=key_url),
    )
