"""What a program registers, as a template of Resource Manager.

azure-native takes a resource's properties flat and under its own names; a template has them
in an envelope, as the REST API does. Which types there are, what their ids and API versions
are is `emulator.arm`'s to say, which has it from the SDK; the little that is here is where
the SDK and the wire differ.

A template is made to be looked at, not to be deployed: ids are those of the model, and
there are no `dependsOn`.
Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax and the
descriptions of the services in https://github.com/Azure/azure-rest-api-specs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from emulator.arm.mocks import Registered
from emulator.arm.resources import find_type
from emulator.arm.schema import WRITE_ONLY, load

SCHEMA: Final = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_PREFIX: Final = "azure-native:"
_SECRET: Final = "[parameters('secret')]"  # noqa: S105 - what stands in a secret's place

_ENVELOPE: Final = frozenset(
    {"location", "tags", "sku", "kind", "identity", "zones", "extendedLocation", "managedBy"}
)
_INSIDE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"Microsoft.OperationalInsights/workspaces": frozenset({"sku"})}
)
"""What elsewhere is of the envelope and is a property of these types."""

_FLATTENED: Final = frozenset(
    {
        "delegations",
        "manualPrivateLinkServiceConnections",
        "privateDnsZoneConfigs",
        "privateLinkServiceConnections",
        "routes",
        "securityRules",
        "subnets",
    }
)
"""Lists of resources within a resource, whose items have an envelope too."""

_WIRE_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
        "enableNfsV3": "isNfsV3Enabled",
        "iPAddressOrRange": "value",
        "networkRuleSet": "networkAcls",
        "virtualNetworkResourceId": "id",
    }
)
"""Of storage accounts, where the SDK has names of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template, and what its resources are called in the program.

    Attributes:
        document: The template, plain data.
        names: By a resource's type and name in the template (`TYPE.NAME`, as checkov names
            it), its type token without `azure-native:` and its logical name, such as
            `storage:StorageAccount/hpcdevdata`.
    """

    document: Mapping[str, Any]
    names: Mapping[str, str]


def arm_template(resources: Iterable[Registered]) -> Template:
    """The template of all that is Azure's among the resources."""
    found = [one for one in resources if one.token.startswith(_PREFIX) and one.id is not None]
    made = [(_resource(one), one) for one in found]
    # The order of registration is the engine's business and differs from run to run.
    made.sort(key=lambda pair: (pair[0]["type"], pair[0]["name"], pair[0].get("scope", "")))
    return Template(
        document={
            "$schema": SCHEMA,
            "contentVersion": "1.0.0.0",
            "parameters": {"secret": {"type": "secureString"}},
            "resources": [entry for entry, _ in made],
        },
        names={
            f"{entry['type']}.{entry['name']}": f"{one.token.removeprefix(_PREFIX)}/{one.name}"
            for entry, one in made
        },
    )


def _resource(one: Registered) -> dict[str, Any]:
    kind = find_type(one.token)
    scope, _, tail = str(one.id).rpartition("/providers/")
    # A namespace, then types and names in turn; a group has neither.
    name = "/".join(tail.split("/")[2::2]) if scope else str(one.id).rpartition("/")[2]
    inputs = {key: value for key, value in one.inputs.items() if key not in kind.placeholders}
    outside = _ENVELOPE - _INSIDE.get(kind.arm_type, frozenset())
    entry: dict[str, Any] = {
        "type": kind.arm_type,
        "apiVersion": load(one.token).api_version,
        "name": name,
    }
    if "/providers/" in scope:
        entry["scope"] = scope
    entry |= {key: _value(key, value) for key, value in inputs.items() if key in outside}
    properties = {key: value for key, value in inputs.items() if key not in outside}
    # A few types are not flattened and bring their `properties` with them.
    bare = properties.pop("properties", {})
    entry["properties"] = _object({**bare, **properties})
    return entry


def _object(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _WIRE_NAMES.get(key, key): _value(key, item)
        for key, item in value.items()
        if item is not None
    }


def _value(key: str, value: Any) -> Any:
    if key in WRITE_ONLY:
        return _SECRET
    if key == "userAssignedIdentities" and isinstance(value, list):
        return {one: {} for one in value}
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list):
        return [_within(item) if key in _FLATTENED else _value("", item) for item in value]
    if isinstance(value, str) and value.startswith("["):
        # Would be an expression of the template's language.
        return f"[{value}"
    return value


def _within(item: Mapping[str, Any]) -> dict[str, Any]:
    outside = {key: item[key] for key in ("id", "name", "type") if key in item}
    inside = {key: value for key, value in item.items() if key not in outside}
    return {**outside, "properties": _object(inside)}
