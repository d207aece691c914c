"""`Microsoft.Resources`: resource groups."""

from __future__ import annotations

from typing import Final

from emulator.arm.kinds import RESOURCE_GROUP, NameRule, ResourceType

TYPES: Final = (
    ResourceType(
        token="azure-native:resources:ResourceGroup",  # noqa: S106 - a type token
        id_format=RESOURCE_GROUP,
        name=NameRule(
            pattern=r"[\w().-]{0,89}[\w()-]",
            text="1-90 letters, digits, underscores, parentheses, hyphens and periods, "
            "no period at the end",
        ),
        outputs=lambda _: {"properties": {"provisioningState": "Succeeded"}},
    ),
)
