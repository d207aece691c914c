"""`Microsoft.Network`: networks, security groups, outbound addresses, private endpoints.

Subnets and rules may stand in their parent's properties or be resources of their own.
Resource Manager's two oldest rules are kept: subnets lie in their network and do not
overlap, and two rules of a direction have two priorities. Ports are numbers or ranges,
and every port (`*`) is named in the singular field alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType, parent_id
from emulator.arm.values import UNKNOWN

_NETWORK: Final = f"{RESOURCE_GROUP}/providers/Microsoft.Network"
_NAME: Final = NameRule(
    pattern=r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?",
    text="1-80 letters, digits, underscores, periods and hyphens, a letter or digit first, "
    "a letter, digit or underscore last",
)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_LAST_PORT: Final = 65535
_FIRST_PRIORITY: Final = 100
_LAST_PRIORITY: Final = 4096


def _cidr(text: str, context: Context) -> _Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ArmError(
            400,
            "InvalidCIDRNotation",
            f"The address prefix {text} in resource {context.id} has an invalid CIDR notation: "
            f"{error}.",
        ) from error


def _prefixes(properties: Mapping[str, Any]) -> list[str]:
    one = properties.get("addressPrefix")
    return [*([one] if one else []), *(properties.get("addressPrefixes") or [])]


def _siblings(context: Context, collection: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and properties of what stands beside a nested resource, inline or not."""
    parent = parent_id(context.id)
    document = context.lookup(parent)
    for one in (document.inputs.get(collection) if document else None) or []:
        yield str(one.get("name", "")), one
    marker = f"{parent}/{collection}/".casefold()
    for other in context.below(parent):
        tail = other.id[len(marker) :]
        if other.id.casefold().startswith(marker) and "/" not in tail:
            yield tail, other.inputs


def _inside(prefix: _Network, spaces: list[_Network]) -> bool:
    first, last = prefix[0], prefix[-1]
    return any(first in space and last in space for space in spaces)


def _check_subnet(context: Context) -> None:
    mine = [_cidr(text, context) for text in _prefixes(context.inputs)]
    if not mine and not context.inputs.get("ipamPoolPrefixAllocations"):
        raise ArmError(
            400,
            "InvalidRequestFormat",
            f"Subnet {context.name} needs addressPrefix or addressPrefixes.",
        )
    network = context.lookup(parent_id(context.id))
    if network is not None:
        _require_inside(context, mine, network.inputs)
    for name, other in _siblings(context, "subnets"):
        if name.casefold() != context.name.casefold():
            _require_apart(context, mine, name, other)


def _require_inside(context: Context, mine: list[_Network], network: Mapping[str, Any]) -> None:
    space = network.get("addressSpace") or {}
    spaces = [_cidr(text, context) for text in space.get("addressPrefixes") or []]
    network_name = context.inputs.get("virtualNetworkName")
    for prefix in mine:
        if spaces and not _inside(prefix, spaces):
            raise ArmError(
                400,
                "NetcfgInvalidSubnet",
                f"Subnet '{context.name}' is not valid because its IP address range is outside "
                f"the IP address range of virtual network '{network_name}'.",
            )


def _require_apart(
    context: Context, mine: list[_Network], name: str, other: Mapping[str, Any]
) -> None:
    for prefix in mine:
        if any(prefix.overlaps(_cidr(text, context)) for text in _prefixes(other)):
            raise ArmError(
                400,
                "NetcfgSubnetRangesOverlap",
                f"Subnet '{context.name}' is not valid because its IP address range overlaps "
                f"with that of an existing subnet '{name}'.",
            )


def _check_network(context: Context) -> None:
    space = context.inputs.get("addressSpace") or {}
    spaces = [_cidr(text, context) for text in space.get("addressPrefixes") or []]
    if not spaces:
        raise ArmError(
            400, "InvalidRequestFormat", f"Virtual network {context.name} needs an addressSpace."
        )
    for one in context.inputs.get("subnets") or []:
        for text in _prefixes(one):
            if not _inside(_cidr(text, context), spaces):
                raise ArmError(
                    400,
                    "NetcfgInvalidSubnet",
                    f"Subnet '{one.get('name')}' is not valid because its IP address range is "
                    f"outside the IP address range of virtual network '{context.name}'.",
                )


def _is_port_range(text: str) -> bool:
    match = _PORTS.fullmatch(text)
    if match is None:
        return False
    first = int(match[1])
    return first <= int(match[2] or first) <= _LAST_PORT


def _check_ports(rule: Mapping[str, Any], name: str) -> None:
    for side in ("source", "destination"):
        single, several = rule.get(f"{side}PortRange"), rule.get(f"{side}PortRanges") or []
        wrong = [str(one) for one in several if not _is_port_range(str(one))]
        if single and single != "*" and not _is_port_range(str(single)):
            wrong.append(str(single))
        if wrong:
            raise ArmError(
                400,
                "SecurityRuleInvalidPortRange",
                f"Security rule {name} has invalid Port range. Value provided: {wrong[0]}. Value "
                "should be an integer OR integer range with '-' delimiter. Valid range "
                f"0-{_LAST_PORT}.",
            )


def _check_rule(context: Context) -> None:
    _check_ports(context.inputs, context.name)
    priority = context.inputs.get("priority")
    if not isinstance(priority, int) or not _FIRST_PRIORITY <= priority <= _LAST_PRIORITY:
        raise ArmError(
            400,
            "SecurityRuleInvalidPriority",
            f"Security rule {context.name} has the priority {priority}; it must be between "
            f"{_FIRST_PRIORITY} and {_LAST_PRIORITY}.",
        )
    direction = context.inputs.get("direction")
    for name, other in _siblings(context, "securityRules"):
        same = other.get("priority") == priority and other.get("direction") == direction
        if same and name.casefold() != context.name.casefold():
            raise ArmError(
                400,
                "SecurityRuleConflict",
                f"Security rule {context.name} conflicts with rule {name}. Rules cannot have the "
                "same Priority and Direction.",
            )


def _check_group(context: Context) -> None:
    seen: dict[tuple[Any, Any], Any] = {}
    for one in context.inputs.get("securityRules") or []:
        _check_ports(one, str(one.get("name")))
        key = (one.get("direction"), one.get("priority"))
        if key in seen:
            raise ArmError(
                400,
                "SecurityRuleConflict",
                f"Security rule {one.get('name')} conflicts with rule {seen[key]}. Rules cannot "
                "have the same Priority and Direction.",
            )
        seen[key] = one.get("name")


def _nested(context: Context, collection: str) -> list[dict[str, Any]] | None:
    asked = context.inputs.get(collection)
    if not isinstance(asked, list):
        return None
    return [
        {
            **one,
            "id": f"{context.id}/{collection}/{one.get('name')}",
            "etag": f'W/"{context.etag}"',
            "provisioningState": "Succeeded",
        }
        for one in asked
        if isinstance(one, Mapping)
    ]


def _address(context: Context, length: int) -> str:
    """A stable address block in 198.18.0.0/15, which is set aside for tests (RFC 2544)."""
    base = int(ipaddress.IPv4Address("198.18.0.0"))
    blocks = 1 << (length - 15)
    number = int(context.guid("address")[:8], 16) % blocks
    return str(ipaddress.IPv4Address(base + number * (1 << (32 - length))))


def _prefix_outputs(context: Context) -> dict[str, Any]:
    asked = context.inputs.get("prefixLength", 28)
    length = asked if isinstance(asked, int) else 28
    return {
        "ipPrefix": f"{_address(context, length)}/{length}",
        "publicIPAddresses": [],
        "resourceGuid": context.guid("resource"),
    }


def _public_address_outputs(context: Context) -> dict[str, Any]:
    outputs: dict[str, Any] = {"resourceGuid": context.guid("resource")}
    if context.inputs.get("publicIPAllocationMethod") == "Static":
        outputs["ipAddress"] = _address(context, 32)
    settings = context.inputs.get("dnsSettings")
    if isinstance(settings, Mapping):
        label = settings.get("domainNameLabel")
        fqdn = f"{label}.{context.location}.cloudapp.azure.com"
        outputs["dnsSettings"] = {**settings, "fqdn": fqdn}
    return outputs


def _endpoint_outputs(context: Context) -> dict[str, Any]:
    name = context.inputs.get("customNetworkInterfaceName") or (
        f"{context.name}.nic.{context.guid('interface')}"
    )
    group = context.id.partition("/privateEndpoints/")[0]
    outputs: dict[str, Any] = {"networkInterfaces": [{"id": f"{group}/networkInterfaces/{name}"}]}
    for collection in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
        nested = _nested(context, collection)
        if nested is not None:
            state = {
                "status": "Approved",
                "description": "Auto-Approved",
                "actionsRequired": "None",
            }
            outputs[collection] = [
                {**one, "privateLinkServiceConnectionState": state} for one in nested
            ]
    return outputs


def _network_outputs(context: Context) -> dict[str, Any]:
    return {
        "resourceGuid": context.guid("resource"),
        "subnets": _nested(context, "subnets"),
        "flowLogs": [],
    }


def _group_outputs(context: Context) -> dict[str, Any]:
    return {
        "resourceGuid": context.guid("resource"),
        "securityRules": _nested(context, "securityRules"),
        "defaultSecurityRules": [],
        "flowLogs": [],
        "networkInterfaces": [],
        "subnets": [],
    }


def _gateway_outputs(context: Context) -> dict[str, Any]:
    return {"resourceGuid": context.guid("resource"), "subnets": []}


def _check_zone_group(context: Context) -> None:
    for one in context.inputs.get("privateDnsZoneConfigs") or []:
        if one.get("privateDnsZoneId") in {None, "", UNKNOWN}:
            raise ArmError(
                400,
                "InvalidRequestFormat",
                f"privateDnsZoneConfigs of {context.name} needs a privateDnsZoneId.",
            )


TYPES: Final = (
    ResourceType(
        token="azure-native:network:VirtualNetwork",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/virtualNetworks/{{virtualNetworkName}}",
        name=_NAME,
        rule=_check_network,
        in_use="InUseSubnetCannotBeDeleted",
        defaults={"enableDdosProtection": False, "virtualNetworkPeerings": []},
        outputs=_network_outputs,
    ),
    ResourceType(
        token="azure-native:network:Subnet",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/virtualNetworks/{{virtualNetworkName}}/subnets/{{subnetName}}",
        name=_NAME,
        autoname="copy",
        rule=_check_subnet,
        in_use="InUseSubnetCannotBeDeleted",
        defaults={
            "delegations": [],
            "privateEndpointNetworkPolicies": "Disabled",
            "privateLinkServiceNetworkPolicies": "Enabled",
        },
        outputs=lambda _: {
            "ipConfigurations": [],
            "ipConfigurationProfiles": [],
            "privateEndpoints": [],
            "purpose": "",
            "resourceNavigationLinks": [],
            "serviceAssociationLinks": [],
        },
    ),
    ResourceType(
        token="azure-native:network:NetworkSecurityGroup",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/networkSecurityGroups/{{networkSecurityGroupName}}",
        name=_NAME,
        rule=_check_group,
        in_use="InUseNetworkSecurityGroupCannotBeDeleted",
        outputs=_group_outputs,
    ),
    ResourceType(
        token="azure-native:network:SecurityRule",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/networkSecurityGroups/{{networkSecurityGroupName}}"
        "/securityRules/{securityRuleName}",
        name=_NAME,
        autoname="copy",
        rule=_check_rule,
    ),
    ResourceType(
        token="azure-native:network:NatGateway",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/natGateways/{{natGatewayName}}",
        name=_NAME,
        in_use="InUseNatGatewayCannotBeDeleted",
        defaults={"idleTimeoutInMinutes": 4},
        outputs=_gateway_outputs,
    ),
    ResourceType(
        token="azure-native:network:PublicIPPrefix",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/publicIPPrefixes/{{publicIpPrefixName}}",
        name=_NAME,
        frozen=frozenset({"prefixLength", "sku", "publicIPAddressVersion"}),
        in_use="InUsePublicIpPrefixCannotBeDeleted",
        defaults={"publicIPAddressVersion": "IPv4", "ipTags": []},
        outputs=_prefix_outputs,
    ),
    ResourceType(
        token="azure-native:network:PublicIPAddress",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/publicIPAddresses/{{publicIpAddressName}}",
        name=_NAME,
        replaces=frozenset({"publicIPAddressVersion", "publicIPPrefix", "sku"}),
        in_use="PublicIPAddressCannotBeDeleted",
        defaults={
            "idleTimeoutInMinutes": 4,
            "ipTags": [],
            "publicIPAddressVersion": "IPv4",
            "publicIPAllocationMethod": "Dynamic",
        },
        outputs=_public_address_outputs,
    ),
    ResourceType(
        token="azure-native:network:PrivateEndpoint",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/privateEndpoints/{{privateEndpointName}}",
        name=_NAME,
        replaces=frozenset({"subnet"}),
        outputs=_endpoint_outputs,
    ),
    ResourceType(
        token="azure-native:network:PrivateDnsZoneGroup",  # noqa: S106 - a type token
        id_format=f"{_NETWORK}/privateEndpoints/{{privateEndpointName}}"
        "/privateDnsZoneGroups/{privateDnsZoneGroupName}",
        name=_NAME,
        autoname="copy",
        rule=_check_zone_group,
    ),
)
