"""The private endpoints of a stack: what each leads to, and the zone that has its name.

Pure: the Platform makes what is planned here, and rules of zones that exist judge by it.
https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.config import StackConfig
from infra.file_systems import BLOB_ZONE, TYPES

_BATCH_ZONE: Final = "privatelink.batch.azure.com"
_REGISTRY_ZONE: Final = "privatelink.azurecr.io"
_VAULT_ZONE: Final = "privatelink.vaultcore.azure.net"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """A private endpoint.

    Attributes:
        resource: What it leads to: `data`, `batch`, `registry`, `vault`, or the purpose of
            an account of file systems (`infra.file_systems.TYPES`).
        group_id: Which of its faces, such as `blob` or `nodeManagement`.
        zone: The private DNS zone in which its name is found.
    """

    resource: str
    group_id: str
    zone: str


def planned_endpoints(config: StackConfig) -> dict[str, EndpointPlan]:
    """The endpoints of a config, by logical name; none where it asks for none."""
    if not config.network.private_endpoints:
        return {}
    endpoints = {
        "data": EndpointPlan(resource="data", group_id="blob", zone=BLOB_ZONE),
        "batch": EndpointPlan(resource="batch", group_id="batchAccount", zone=_BATCH_ZONE),
        "nodes": EndpointPlan(resource="batch", group_id="nodeManagement", zone=_BATCH_ZONE),
    }
    for kind in sorted({one.type for one in config.storage.file_systems.values()}):
        purpose = TYPES[kind].purpose
        for group, zone in TYPES[kind].endpoint_groups.items():
            endpoints[f"{purpose}-{group}"] = EndpointPlan(
                resource=purpose, group_id=group, zone=zone
            )
    if config.registry.can_be_private:
        endpoints["registry"] = EndpointPlan(
            resource="registry", group_id="registry", zone=_REGISTRY_ZONE
        )
    if config.batch.needs_key_vault:
        endpoints["vault"] = EndpointPlan(resource="vault", group_id="vault", zone=_VAULT_ZONE)
    return endpoints
