"""The resource types and functions that exist, one file a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from emulator.arm.errors import UnknownTypeError
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
from emulator.arm.schema import near_misses

__all__ = ["FUNCTIONS", "TYPES", "find_type"]

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


def find_type(token: str) -> ResourceType:
    """The declaration of a type.

    Raises:
        UnknownTypeError: There is none.
    """
    found = TYPES.get(token)
    if found is None:
        raise UnknownTypeError(
            f"unknown resource type {token!r}: the emulator's Resource Manager does not have it"
            f"{near_misses(token, TYPES, cutoff=0.85)}"
        )
    return found
