"""The identity of the pipeline: whose tokens it is given for, and what it may do.

What it deliberately does not do: own anything. With `run`, the default, it writes programs
and inputs, reads outputs and logs, and submits jobs; it can neither change a pool nor read
what others keep in the account. More is asked for by name. `deploy` is the one grant of
this program on a whole resource group, and the roles that it may give on are those that
the stack itself gives, to service principals alone: it can make nobody an owner, itself
included. Nor does it give rights on what lies outside the stack, such as Pulumi's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.managedidentity import FederatedIdentityCredential

from infra.components.identity import (
    ASSIGNED_ROLES,
    BATCH_DATA_CONTRIBUTOR,
    BATCH_JOB_SUBMITTER,
    BLOB_DATA_CONTRIBUTOR,
    BLOB_DATA_READER,
    CONTRIBUTOR,
    RBAC_ADMINISTRATOR,
    Grant,
    Identity,
    IdentityArgs,
)
from infra.components.place import Place
from infra.pipeline import PipelineConfig, expected_audience

_WRITTEN = frozenset({"programs", "inputs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineArgs:
    """Args of `Pipeline`.

    Attributes:
        config: Whose tokens, and what for.
        resource_group_id: Resource id of all that the stack has.
        batch_account_id: Resource id of the account that jobs go to.
        container_ids: Resource ids of the data account's containers, by what they hold.
    """

    place: Place
    config: PipelineConfig
    resource_group_id: pulumi.Input[str]
    batch_account_id: pulumi.Input[str]
    container_ids: Mapping[str, pulumi.Input[str]]


class Pipeline(pulumi.ComponentResource):
    """A user-assigned identity that a pipeline's tokens are exchanged for.

    Attributes:
        output: The stack output `pipeline`, as docs/stack-outputs.md has it.
    """

    output: Mapping[str, pulumi.Output[str]]

    def __init__(
        self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Pipeline", name, {}, opts)
        identity = Identity(
            name,
            IdentityArgs(place=args.place, grants=grants(args)),
            pulumi.ResourceOptions(parent=self),
        )
        before: list[pulumi.Resource] = []
        for credential_name, credential in sorted(args.config.federated_credentials.items()):
            made = FederatedIdentityCredential(
                f"{name}-{credential_name}",
                resource_group_name=args.place.resource_group_name,
                resource_name_=identity.identity_name,
                federated_identity_credential_resource_name=credential_name,
                issuer=credential.issuer,
                subject=credential.subject,
                audiences=[credential.audience or expected_audience(args.place.location)],
                # Azure refuses two writes at once below one identity.
                opts=pulumi.ResourceOptions(parent=self, depends_on=before[-1:]),
            )
            before.append(made)
        self.output = {"client_id": identity.client_id, "tenant_id": identity.tenant_id}
        self.register_outputs({"client_id": identity.client_id})


def grants(args: PipelineArgs) -> dict[str, Grant]:
    """What the identity may do, by a name for each grant."""
    found: dict[str, Grant] = {}
    may = frozenset(args.config.may)
    if "run" in may:
        found["jobs"] = Grant(role=BATCH_JOB_SUBMITTER, scope=args.batch_account_id)
        for what, container_id in args.container_ids.items():
            role = BLOB_DATA_CONTRIBUTOR if what in _WRITTEN else BLOB_DATA_READER
            found[what] = Grant(role=role, scope=container_id)
    if "publish" in may:
        found["publish"] = Grant(role=BATCH_DATA_CONTRIBUTOR, scope=args.batch_account_id)
    if "deploy" in may:
        found["deploy"] = Grant(role=CONTRIBUTOR, scope=args.resource_group_id)
        found["roles"] = Grant(
            role=RBAC_ADMINISTRATOR,
            scope=args.resource_group_id,
            condition=only_these_roles(ASSIGNED_ROLES),
        )
        # Before a pool goes the engine asks for its unfinished tasks.
        found.setdefault("jobs", Grant(role=BATCH_JOB_SUBMITTER, scope=args.batch_account_id))
    return found


def only_these_roles(roles: frozenset[str]) -> str:
    """The condition under which roles are given and taken: these, to service principals.

    Source: https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
    """
    guids = ", ".join(sorted(roles))
    return " AND ".join(
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR ("
        f"@{source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] "
        f"ForAnyOfAnyValues:GuidEquals {{{guids}}} AND "
        f"@{source}[Microsoft.Authorization/roleAssignments:PrincipalType] "
        "ForAnyOfAnyValues:StringEqualsIgnoreCase {'ServicePrincipal'}))"
        for action, source in (("write", "Request"), ("delete", "Resource"))
    )
