"""`Microsoft.ManagedIdentity`: identities that the directory knows, and tokens they are given for.

Refusals of federated credentials are those of
https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations;
that of two writes at once below one identity is not here, as no write takes time.
"""

from __future__ import annotations

from typing import Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType, parent_id

_CREDENTIAL: Final = "azure-native:managedidentity:FederatedIdentityCredential"
_MOST_CREDENTIALS: Final = 20
_LONGEST_CLAIM: Final = 600


def _check_credential(context: Context) -> None:
    audiences = context.inputs.get("audiences")
    if not isinstance(audiences, list) or len(audiences) != 1:
        raise ArmError(
            400, "BadRequest", "Federated identity credentials must have exactly one audience."
        )
    for claim in (context.inputs.get("issuer"), context.inputs.get("subject"), *audiences):
        if isinstance(claim, str) and not 0 < len(claim) <= _LONGEST_CLAIM:
            raise ArmError(
                400,
                "BadRequest",
                f"Issuer, subject and audience have 1 to {_LONGEST_CLAIM} characters.",
            )
    others = [
        one
        for one in context.below(parent_id(context.id))
        if one.token == _CREDENTIAL and one.id.casefold() != context.id.casefold()
    ]
    if len(others) >= _MOST_CREDENTIALS:
        raise ArmError(
            400,
            "BadRequest",
            f"An identity has at most {_MOST_CREDENTIALS} federated identity credentials.",
        )
    mine = [context.inputs.get(claim) for claim in ("issuer", "subject")]
    if any([one.inputs.get(claim) for claim in ("issuer", "subject")] == mine for one in others):
        raise ArmError(
            400,
            "BadRequest",
            "Issuer and subject combination already exists for this Managed Identity.",
        )


TYPES: Final = (
    ResourceType(
        token="azure-native:managedidentity:UserAssignedIdentity",  # noqa: S106 - a type token
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.ManagedIdentity"
        "/userAssignedIdentities/{resourceName}",
        name=NameRule(
            pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
            text="3-128 letters, digits, hyphens and underscores, a letter or digit first",
        ),
        outputs=lambda context: {
            "clientId": context.guid("client"),
            "principalId": context.guid("principal"),
            "tenantId": context.identity.tenant_id,
        },
    ),
    ResourceType(
        token=_CREDENTIAL,
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.ManagedIdentity"
        "/userAssignedIdentities/{resourceName}"
        "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
        name=NameRule(
            pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}",
            text="3-120 letters, digits, hyphens and underscores, a letter or digit first",
        ),
        autoname="copy",
        location_from_group=False,
        rule=_check_credential,
    ),
)
