"""`Microsoft.ManagedIdentity`: identities that the directory knows."""

from __future__ import annotations

from typing import Final

from emulator.arm.kinds import RESOURCE_GROUP, NameRule, ResourceType

TYPES: Final = (
    ResourceType(
        token="azure-native:managedidentity:UserAssignedIdentity",  # noqa: S106 - a type token
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.ManagedIdentity"
        "/userAssignedIdentities/{resourceName}",
        name=NameRule(
            pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
            text="3-128 letters, digits, hyphens and underscores, a letter or digit first",
        ),
        max_name=128,
        outputs=lambda context: {
            "clientId": context.guid("client"),
            "principalId": context.guid("principal"),
            "tenantId": context.identity.tenant_id,
        },
    ),
)
