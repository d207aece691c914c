"""`Microsoft.Network/privateDnsZones`: zones for private endpoints, and their links."""

from __future__ import annotations

from typing import Any, Final

from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType

_ZONE: Final = f"{RESOURCE_GROUP}/providers/Microsoft.Network/privateDnsZones/{{privateZoneName}}"


def _zone_outputs(context: Context) -> dict[str, Any]:
    links = [one for one in context.below(context.id) if "/virtualNetworkLinks/" in one.id]
    registering = [one for one in links if one.inputs.get("registrationEnabled")]
    return {
        "internalId": context.guid("zone"),
        "maxNumberOfRecordSets": 25000,
        "maxNumberOfVirtualNetworkLinks": 1000,
        "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
        "numberOfRecordSets": 1,
        "numberOfVirtualNetworkLinks": len(links),
        "numberOfVirtualNetworkLinksWithRegistration": len(registering),
    }


TYPES: Final = (
    ResourceType(
        token="azure-native:privatedns:PrivateZone",  # noqa: S106 - a type token
        id_format=_ZONE,
        name=NameRule(
            pattern=r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})+",
            text="a DNS name of at least two labels, such as privatelink.batch.azure.com",
        ),
        location_from_group=False,
        defaults={"location": "global"},
        outputs=_zone_outputs,
    ),
    ResourceType(
        token="azure-native:privatedns:VirtualNetworkLink",  # noqa: S106 - a type token
        id_format=f"{_ZONE}/virtualNetworkLinks/{{virtualNetworkLinkName}}",
        name=NameRule(
            pattern=r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?",
            text="1-80 letters, digits, underscores, periods and hyphens",
        ),
        autoname="copy",
        location_from_group=False,
        replaces=frozenset({"virtualNetwork"}),
        blocks_parent=True,
        defaults={"location": "global", "virtualNetworkLinkState": "Completed"},
    ),
)
