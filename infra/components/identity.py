"""A user-assigned identity and what it may do.

Grants name one role on one resource, never a resource group or the subscription. An
assignment's name is a GUID made from what it assigns: a second deployment finds its own
assignment again, and another stack's never collides with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.authorization import PrincipalType, RoleAssignment
from pulumi_azure_native.managedidentity import UserAssignedIdentity

from infra.components.place import Place

# Built-in roles: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
KEY_VAULT_SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
MONITORING_METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"

# Any fixed GUID does; changing it would rename every assignment of every stack.
_ASSIGNMENTS = uuid.UUID("6f0c3c1e-7d3b-5f0e-9a55-0f6f2f7c9d41")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One role on one resource.

    Attributes:
        role: Id of a built-in role.
        scope: Resource id of what the role is about.
    """

    role: str
    scope: pulumi.Input[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityArgs:
    """Args of `Identity`; `grants` by a logical name that is unique in the identity."""

    place: Place
    grants: Mapping[str, Grant]


class Identity(pulumi.ComponentResource):
    """A user-assigned identity with its grants.

    Attributes:
        identity_id: Resource id.
        principal_id: Object id in Entra.
        client_id: Application id in Entra, by which a node asks for this identity's tokens.
        assignments: The grants, for what must not start before they exist.
    """

    identity_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    assignments: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Identity", name, {}, opts)
        identity = UserAssignedIdentity(
            name,
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            tags=args.place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.assignments = tuple(
            assign(
                f"{name}-{grant_name}",
                grant,
                principal_id=identity.principal_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for grant_name, grant in args.grants.items()
        )
        self.identity_id = identity.id
        self.principal_id = identity.principal_id
        self.client_id = identity.client_id
        self.register_outputs({"identity_id": identity.id, "principal_id": identity.principal_id})


def assign(
    name: str, grant: Grant, *, principal_id: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> RoleAssignment:
    """Gives an identity or another service principal a role.

    Args:
        name: Logical name of the assignment.
        grant: Which role, on what.
        principal_id: Object id in Entra of who gets it.
        opts: Its parent.
    """
    return RoleAssignment(
        name,
        role_assignment_name=pulumi.Output.all(
            scope=grant.scope, principal_id=principal_id, role=grant.role
        ).apply(lambda parts: assignment_name(**parts)),
        scope=grant.scope,
        principal_id=principal_id,
        # Spares Azure the look-up that fails while a new identity is replicated.
        principal_type=PrincipalType.SERVICE_PRINCIPAL,
        role_definition_id=pulumi.Output.all(resource_id=grant.scope, role=grant.role).apply(
            lambda parts: role_definition_id(**parts)
        ),
        opts=opts,
    )


def assignment_name(*, scope: str, principal_id: str, role: str) -> str:
    """The GUID that names the assignment of a role to a principal on a scope."""
    return str(uuid.uuid5(_ASSIGNMENTS, f"{scope.lower()}|{principal_id.lower()}|{role}"))


def role_definition_id(*, resource_id: str, role: str) -> str:
    """The resource id of a built-in role in the subscription of `resource_id`.

    Args:
        resource_id: `/subscriptions/ID/…`.
        role: Id of the role.
    """
    subscription = resource_id.split("/")[2]
    return (
        f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    )
