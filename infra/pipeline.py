"""What a person may write under `hpc:pipeline`: who runs the stack's pipeline, and what it may do.

The pipeline has an identity of the stack's own and no secret: whoever signs tokens for its
runs (Azure DevOps, GitHub, any issuer of OpenID Connect) is named with the subject that it
gives them, and Entra takes those tokens for the identity's. Nothing is guessed: an issuer
and a subject are copied from where the pipeline is set up (docs/pipeline.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.model import Model
from infra.regions import Cloud, cloud_of

Permission = Literal["run", "publish", "deploy"]

# https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
CredentialName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$", max_length=120)
]
Claim = Annotated[str, StringConstraints(min_length=1, max_length=600)]

# https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
_AUDIENCES: Mapping[Cloud, str] = MappingProxyType(
    {
        "public": "api://AzureADTokenExchange",
        "us-government": "api://AzureADTokenExchangeUSGov",
        "china": "api://AzureADTokenExchangeChina",
    }
)


class FederatedCredentialConfig(Model):
    """One sort of token that the pipeline's identity is given for."""

    issuer: Claim = Field(
        description="URL of who signs the tokens, just as their `iss` has it, such as "
        "`https://token.actions.githubusercontent.com`; Azure DevOps shows it with the service "
        "connection."
    )
    subject: Claim = Field(
        description="Whom the tokens are about, just as their `sub` has it, such as "
        "`repo:lab/hpc:environment:dev`; Azure DevOps shows it with the service connection."
    )
    audience: Claim | None = Field(
        default=None,
        description="Whom the tokens are for; what Entra expects in the region's cloud when "
        "absent.",
    )


class PipelineConfig(Model):
    """The pipeline's identity."""

    federated_credentials: dict[CredentialName, FederatedCredentialConfig] = Field(
        default_factory=dict,
        description="Whose tokens the identity is given for, by a name of one's own; without "
        "one nobody signs in as it.",
    )
    may: tuple[Permission, ...] = Field(
        default=(),
        description="What the pipeline may do; an identity is made for it where there is "
        "something. `run`: stage programs and inputs, submit jobs, collect. `publish`: versions "
        "of applications; its role changes pools, too. `deploy`: everything in the stack's "
        "resource group, and give there the roles that the program gives.",
    )

    @property
    def has_identity(self) -> bool:
        """Whether there is an identity for it."""
        return bool(self.may)


def expected_audience(location: str) -> str:
    """Whom tokens must be for, in the cloud of a region."""
    return _AUDIENCES[cloud_of(location)]
