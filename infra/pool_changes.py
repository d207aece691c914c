"""What a change of a pool's field means: live, only with zero nodes, or a new pool.

One table that two readers share: the Pool component, which tells the engine what to
replace, and `python -m infra changes`, which tells a person why. Fields are those of
azure-native's `Pool` in Resource Manager's spelling.

Azure takes some fields of an empty pool only. Emptying a pool is not something that a
deployment may do behind someone's back, so the engine replaces for those too; the new
pool exists before the old one goes.
Source: the descriptions of pool properties under
https://learn.microsoft.com/rest/api/batchservice/pool/update-pool and
https://learn.microsoft.com/rest/api/batchmanagement/pool/update.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Effect(StrEnum):
    """How Azure applies a change of a field."""

    LIVE = "live"
    ZERO_NODES = "zero-nodes"
    REPLACE = "replace"


EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "applicationPackages": Effect.LIVE,
        "metadata": Effect.LIVE,
        "scaleSettings": Effect.LIVE,
        "startTask": Effect.LIVE,
        "displayName": Effect.ZERO_NODES,
        "vmSize": Effect.ZERO_NODES,
        "deploymentConfiguration": Effect.ZERO_NODES,
        "interNodeCommunication": Effect.ZERO_NODES,
        "mountConfiguration": Effect.ZERO_NODES,
        "networkConfiguration": Effect.ZERO_NODES,
        "resourceTags": Effect.ZERO_NODES,
        "targetNodeCommunicationMode": Effect.ZERO_NODES,
        "taskSchedulingPolicy": Effect.ZERO_NODES,
        "taskSlotsPerNode": Effect.ZERO_NODES,
        "upgradePolicy": Effect.ZERO_NODES,
        "userAccounts": Effect.ZERO_NODES,
        "accountName": Effect.REPLACE,
        "applicationLicenses": Effect.REPLACE,
        "certificates": Effect.REPLACE,
        "identity": Effect.REPLACE,
        "poolName": Effect.REPLACE,
        "resourceGroupName": Effect.REPLACE,
        "tags": Effect.LIVE,
    }
)

REPLACED_ON_CHANGES: tuple[str, ...] = tuple(
    sorted(field for field, effect in EFFECTS.items() if effect is not Effect.LIVE)
)
