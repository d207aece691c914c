"""The private DNS zones in which private endpoints of the stack have their names.

https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

from typing import Final

from infra.config import StackConfig

BATCH_ZONE: Final = "privatelink.batch.azure.com"
BLOB_ZONE: Final = "privatelink.blob.core.windows.net"
VAULT_ZONE: Final = "privatelink.vaultcore.azure.net"


def needed_zones(config: StackConfig) -> frozenset[str]:
    """The zones of a config's endpoints; none without private endpoints."""
    if not config.network.private_endpoints:
        return frozenset()
    vault = {VAULT_ZONE} if config.batch.needs_key_vault else set()
    return frozenset({BATCH_ZONE, BLOB_ZONE} | vault)
