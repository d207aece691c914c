"""`Microsoft.KeyVault`: vaults and keys, for user-subscription mode and customer-managed keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType, Taken, parent_id


def _outputs(context: Context) -> dict[str, Any]:
    asked = context.inputs.get("properties")
    properties = dict(asked) if isinstance(asked, Mapping) else {}
    return {
        "properties": {
            "enableSoftDelete": True,
            "softDeleteRetentionInDays": 90,
            **properties,
            "hsmPoolResourceId": "",
            "privateEndpointConnections": [],
            "provisioningState": "Succeeded",
            "vaultUri": f"https://{context.name}.vault.azure.net/",
        }
    }


def _check_vault(context: Context) -> None:
    """Refusals of the service: https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview."""
    properties = context.inputs.get("properties") or {}
    if properties.get("enablePurgeProtection") is False:
        raise ArmError(
            400,
            "BadRequest",
            'The property "enablePurgeProtection" cannot be set to false. Enabling the purge '
            "protection for a vault is an irreversible action.",
        )
    days = properties.get("softDeleteRetentionInDays", 90)
    if isinstance(days, int) and not 7 <= days <= 90:  # noqa: PLR2004 - the service's limits
        raise ArmError(
            400, "BadRequest", f"softDeleteRetentionInDays is {days}; 7 to 90 are allowed."
        )


def _key_outputs(context: Context) -> dict[str, Any]:
    asked = context.inputs.get("properties")
    properties = asked if isinstance(asked, Mapping) else {}
    vault = parent_id(context.id).rpartition("/")[2]
    url = f"https://{vault}.vault.azure.net/keys/{context.name}"
    return {
        "keyUri": url,
        "keyUriWithVersion": f"{url}/{context.guid('version').replace('-', '')}",
        **{
            name: value
            for name, value in properties.items()
            if name in {"keyOps", "keySize", "kty", "curveName"}
        },
    }


TYPES: Final = (
    ResourceType(
        token="azure-native:keyvault:Vault",  # noqa: S106 - a type token
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}",
        name=NameRule(
            pattern=r"(?=.{3,24}$)[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*",
            text="3-24 letters, digits and single hyphens, a letter first",
        ),
        taken=Taken(
            properties=("vaultName",),
            code="VaultAlreadyExists",
            message="The vault name '{name}' is already in use.",
        ),
        rule=_check_vault,
        outputs=_outputs,
    ),
    ResourceType(
        token="azure-native:keyvault:Key",  # noqa: S106 - a type token
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}"
        "/keys/{keyName}",
        name=NameRule(pattern=r"[A-Za-z0-9-]{1,127}", text="1-127 letters, digits and hyphens"),
        autoname="copy",
        # A key is never changed, only followed by a new version (Keys - Create If Not Exist).
        frozen=frozenset({"properties"}),
        outputs=_key_outputs,
    ),
)
