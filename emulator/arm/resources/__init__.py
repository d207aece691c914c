"""The resource types and functions that exist, one file a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from emulator.arm.kinds import ResourceType
from emulator.arm.resources import (
    authorization,
    batch,
    containerregistry,
    costs,
    identity,
    keyvault,
    monitor,
    network,
    operationalinsights,
    privatedns,
    resources,
    storage,
)
from emulator.arm.resources.functions import FUNCTIONS

__all__ = ["FUNCTIONS", "TYPES"]

TYPES: Final[Mapping[str, ResourceType]] = MappingProxyType(
    {
        kind.token: kind
        for module in (
            authorization,
            batch,
            containerregistry,
            costs,
            identity,
            keyvault,
            monitor,
            network,
            operationalinsights,
            privatedns,
            resources,
            storage,
        )
        for kind in module.TYPES
    }
)
"""By Pulumi's type token."""
