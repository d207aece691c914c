"""The private DNS zones in which private endpoints of the stack have their names.

https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

from typing import Final

from infra.config import StackConfig
from infra.file_systems import BLOB_ZONE, TYPES

BATCH_ZONE: Final = "privatelink.batch.azure.com"
REGISTRY_ZONE: Final = "privatelink.azurecr.io"
VAULT_ZONE: Final = "privatelink.vaultcore.azure.net"


def needed_zones(config: StackConfig) -> frozenset[str]:
    """The zones of a config's endpoints; none without private endpoints."""
    if not config.network.private_endpoints:
        return frozenset()
    zones = {BATCH_ZONE, BLOB_ZONE}
    for file_system in config.storage.file_systems.values():
        zones |= set(TYPES[file_system.type].endpoint_groups.values())
    if config.registry.can_be_private:
        zones.add(REGISTRY_ZONE)
    if config.batch.needs_key_vault:
        zones.add(VAULT_ZONE)
    return frozenset(zones)
