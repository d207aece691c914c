"""A user-assigned identity and what it may do.

Grants name one role on one resource, never the subscription, and a resource group for the
pipeline alone, where its config asks for it (`infra.components.pipeline`). An assignment's
is a GUID made from what it assigns: a second deployment finds its own assignment again, and
another stack's never collides with it.
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
BATCH_DATA_CONTRIBUTOR = "6aaa78f1-f7de-44ca-8722-c64a23943cae"
BATCH_JOB_SUBMITTER = "48e5e92e-a480-4e71-aa9c-2778f4c13781"
BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
KEY_VAULT_SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
MONITORING_METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
RBAC_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"

ASSIGNED_ROLES = frozenset(
    {
        ACR_PULL,
        BATCH_DATA_CONTRIBUTOR,
        BATCH_JOB_SUBMITTER,
        BLOB_DATA_CONTRIBUTOR,
        BLOB_DATA_READER,
        KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
        KEY_VAULT_SECRETS_OFFICER,
        MONITORING_METRICS_PUBLISHER,
    }
)
"""Roles that a stack gives, but for the two that let a pipeline deploy it."""

# Any fixed GUID does; changing it would rename every assignment of every stack.
_ASSIGNMENTS = uuid.UUID("6f0c3c1e-7d3b-5f0e-9a55-0f6f2f7c9d41")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One role on one resource.

    Attributes:
        role: Id of a built-in role.
        scope: Resource id of what the role is about.
        condition: Under which it holds, in Azure's language of conditions, or None.
    """

    role: str
    scope: pulumi.Input[str]
    condition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityArgs:
    """Args of `Identity`; `grants` by a logical name that is unique in the identity."""

    place: Place
    grants: Mapping[str, Grant]


class Identity(pulumi.ComponentResource):
    """A user-assigned identity with its grants.

    Attributes:
        identity_id: Resource id.
        identity_name: Its name in Azure.
        principal_id: Object id in Entra.
        client_id: Application id in Entra, by which a node asks for this identity's tokens.
        tenant_id: The directory that knows it.
        assignments: The grants, for what must not start before they exist.
    """

    identity_id: pulumi.Output[str]
    identity_name: pulumi.Output[str]
    principal_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    tenant_id: pulumi.Output[str]
    assignments: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Identity", name, {}, opts)
        identity = UserAssignedIdentity(
            name,
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
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
        self.identity_name = identity.name
        self.principal_id = identity.principal_id
        self.client_id = identity.client_id
        self.tenant_id = identity.tenant_id
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
        condition=grant.condition,
        condition_version="2.0" if grant.condition else None,
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
