"""`Microsoft.Authorization`: role assignments."""

from __future__ import annotations

from typing import Final

from emulator.arm.kinds import Context, NameRule, ResourceType, Taken


def _outputs(context: Context) -> dict[str, object]:
    return {
        "createdBy": context.identity.object_id,
        "createdOn": context.created,
        "updatedBy": context.identity.object_id,
        "updatedOn": context.modified,
    }


TYPES: Final = (
    ResourceType(
        token="azure-native:authorization:RoleAssignment",  # noqa: S106 - a type token
        id_format="/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        name=NameRule(
            pattern=r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
            text="a GUID, the same at every deployment",
        ),
        autoname="uuid",
        replaces=frozenset({"principalId"}),
        frozen=frozenset({"roleDefinitionId"}),
        taken=Taken(
            properties=("principalId", "roleDefinitionId", "scope"),
            code="RoleAssignmentExists",
            message="The role assignment already exists. The ID of the existing role assignment "
            "is {other}.",
        ),
        defaults={"principalType": "ServicePrincipal"},
        outputs=_outputs,
    ),
)
