"""`Microsoft.ContainerRegistry`: registries that pools pull images from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType, Taken


def _outputs(context: Context) -> dict[str, Any]:
    sku = context.inputs.get("sku")
    name = str(sku.get("name", "")) if isinstance(sku, Mapping) else ""
    return {
        "creationDate": context.created,
        "dataEndpointHostNames": [],
        "loginServer": f"{context.name.lower()}.azurecr.io",
        "privateEndpointConnections": [],
        "sku": {"name": name, "tier": name},
        "status": {
            "displayStatus": "Ready",
            "message": "The registry is ready.",
            "timestamp": context.created,
        },
    }


TYPES: Final = (
    ResourceType(
        token="azure-native:containerregistry:Registry",  # noqa: S106 - a type token
        id_format=f"{RESOURCE_GROUP}/providers/Microsoft.ContainerRegistry"
        "/registries/{registryName}",
        name=NameRule(pattern=r"[A-Za-z0-9]{5,50}", text="5-50 letters and digits"),
        taken=Taken(
            properties=("registryName",),
            code="AlreadyInUse",
            message="The registry DNS name {name}.azurecr.io is already in use.",
        ),
        defaults={"adminUserEnabled": False, "publicNetworkAccess": "Enabled"},
        outputs=_outputs,
    ),
)
