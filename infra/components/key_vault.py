"""The key vault that a Batch account is tied to: for its encryption, for its own nodes.

Who may use it is said by roles alone, nothing in it can be purged before its time, and
its network lets in Azure's trusted services, which Batch is one of, and private
endpoints. What this component deliberately does not do: hold secrets of people, or hand
out keys. The key that encrypts a Batch account never leaves the vault.
https://learn.microsoft.com/azure/batch/batch-customer-managed-key
https://learn.microsoft.com/azure/key-vault/general/overview-vnet-service-endpoints
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native.authorization import get_client_config
from pulumi_azure_native.keyvault import (
    Key,
    KeyPropertiesArgs,
    NetworkRuleSetArgs,
    SkuArgs,
    SkuName,
    Vault,
    VaultPropertiesArgs,
)

from infra.components.identity import KEY_VAULT_SECRETS_OFFICER, Grant, assign
from infra.components.place import Place

SOFT_DELETE_DAYS: Final = 90
_KEY_BITS: Final = 3072


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVaultArgs:
    """Args of `KeyVault`.

    Attributes:
        vault: Logical name, 3 to 16 lower-case letters and digits, a letter first; the
            engine appends 8 hexadecimal digits.
        has_key: Whether there is a key for the account's encryption.
        batch_service_id: Object id of Batch's service principal, which keeps secrets of
            nodes in the vault in user-subscription mode; None in the other.
        public_network_access: Whether trusted services may come from outside the network.
        protect: Whether Pulumi refuses to delete it.
    """

    place: Place
    vault: str
    has_key: bool
    batch_service_id: str | None
    public_network_access: bool
    protect: bool


class KeyVault(pulumi.ComponentResource):
    """A key vault.

    Attributes:
        vault_id: Resource id.
        url: Where it answers.
        key_id: Resource id of the key, None without one.
        key_url: Of the key, without a version, so that a new version is taken by itself.
        ready: What must exist before the Batch account does.
    """

    vault_id: pulumi.Output[str]
    url: pulumi.Output[str]
    key_id: pulumi.Output[str] | None
    key_url: pulumi.Output[str] | None
    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: KeyVaultArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:KeyVault", name, {}, opts)
        for_nodes = args.batch_service_id is not None
        vault = Vault(
            args.vault,
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            properties=VaultPropertiesArgs(
                tenant_id=get_client_config().tenant_id,
                sku=SkuArgs(family="A", name=SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=SOFT_DELETE_DAYS,
                enable_purge_protection=True,
                # Machines that Batch makes in the stack's subscription fetch from it.
                enabled_for_deployment=for_nodes,
                enabled_for_template_deployment=for_nodes,
                enabled_for_disk_encryption=for_nodes,
                public_network_access="enabled" if args.public_network_access else "disabled",
                network_acls=NetworkRuleSetArgs(bypass="AzureServices", default_action="Deny"),
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.vault_id = vault.id
        self.url = vault.properties.apply(lambda properties: properties.vault_uri or "")
        self.key_id = self.key_url = None
        ready: list[pulumi.Resource] = [vault]
        if args.has_key:
            key = Key(
                f"{name}-key",
                resource_group_name=args.place.resource_group_name,
                vault_name=vault.name,
                key_name="batch-account",
                properties=KeyPropertiesArgs(
                    kty="RSA", key_size=_KEY_BITS, key_ops=["wrapKey", "unwrapKey"]
                ),
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            )
            self.key_id, self.key_url = key.id, key.key_uri
            ready.append(key)
        if args.batch_service_id is not None:
            ready.append(
                assign(
                    f"{name}-batch",
                    Grant(role=KEY_VAULT_SECRETS_OFFICER, scope=vault.id),
                    principal_id=args.batch_service_id,
                    opts=pulumi.ResourceOptions(parent=self),
                )
            )
        self.ready = tuple(ready)
        self.register_outputs({"vault_id": vault.id, "url": self.url})
