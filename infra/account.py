"""What a person may write under `hpc:batch`: the Batch account, its quota and its keys."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.model import Model

ObjectId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
]


class BatchConfig(Model):
    """The Batch account."""

    public_network_access: bool = Field(
        default=True, description="Reached from outside the network, by Entra identities."
    )
    allow_from: tuple[IPv4Network, ...] = Field(
        default=(),
        description="Public addresses that alone reach it from outside, such as "
        "`203.0.113.0/24`; any when empty. Nodes report to it from anywhere.",
    )
    nodes_submit_jobs: bool = Field(
        default=False,
        description="Nodes may add tasks to jobs, as workload files with a `schedule` need. It is "
        "every task that may then: submit, change and end jobs of the account.",
    )
    vcpu_quota_by_series: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Dedicated vCPU quota of the account by series, such as `HBv3: 240`.",
    )
    spot_vcpu_quota: int | None = Field(
        default=None, ge=0, description="Spot vCPU quota of the account, over all series."
    )
    pool_allocation: Literal["batch-service", "user-subscription"] = Field(
        default="batch-service",
        description="Whose subscription nodes are made in: Batch's own, or the stack's, which "
        "needs a role for Batch on the subscription and a key vault (made).",
    )
    service_principal_id: ObjectId | None = Field(
        default=None,
        description="Object id of the `Microsoft Azure Batch` service principal in the tenant, "
        "for `user-subscription`: `az ad sp show --id ddbf3205-c6bd-46ae-8127-60eb93363864 "
        "--query id -o tsv`.",
    )
    customer_managed_key: bool = Field(
        default=False,
        description="What Batch keeps is encrypted with a key of a key vault of the stack's own "
        "(billed). Only a new account can have one, and its vault cannot be purged for 90 days.",
    )

    @property
    def has_own_nodes(self) -> bool:
        """Whether nodes are made in the stack's own subscription."""
        return self.pool_allocation == "user-subscription"

    @property
    def needs_key_vault(self) -> bool:
        """Whether the account cannot be without a key vault."""
        return self.customer_managed_key or self.has_own_nodes
