"""`Microsoft.KeyVault`: vaults, for user-subscription mode and customer-managed keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType, Taken


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


TYPES: Final = (
    ResourceType(
        token="azure-native:keyvault:Vault",  # noqa: S106 - a type token
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}",
        name=NameRule(
            pattern=r"(?=.{3,24}$)[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*",
            text="3-24 letters, digits and single hyphens, a letter first",
        ),
        max_name=24,
        taken=Taken(
            properties=("vaultName",),
            code="VaultAlreadyExists",
            message="The vault name '{name}' is already in use.",
        ),
        outputs=_outputs,
    ),
)
