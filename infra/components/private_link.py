"""Private endpoints: accounts reached inside the network, by their usual names.

What is planned (`infra.private_endpoints`) gets endpoints in the subnet for them, and its
names resolve to those in the network through private zones, which may exist already. What
this component deliberately does not do: close the accounts' public side, which is a
setting of theirs.
https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
from pulumi_azure_native.network import (
    PrivateDnsZoneConfigArgs,
    PrivateDnsZoneGroup,
    PrivateEndpoint,
    PrivateLinkServiceConnectionArgs,
    SubnetArgs,
)
from pulumi_azure_native.privatedns import PrivateZone, SubResourceArgs, VirtualNetworkLink

from infra.components.place import Place
from infra.private_endpoints import EndpointPlan

OWN_LINK: Final = "pools"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateLinkArgs:
    """Args of `PrivateLink`.

    Attributes:
        virtual_network_ids: Networks of nodes, by a name for the link; zones that are made
            are linked to each.
        subnet_id: Where endpoints get their addresses.
        endpoints: By logical name.
        resource_ids: Of what endpoints lead to, by `EndpointPlan.resource`.
        zone_ids: Zones that exist, by name; they and their links are left alone.
    """

    place: Place
    virtual_network_ids: Mapping[str, pulumi.Input[str]]
    subnet_id: pulumi.Input[str]
    endpoints: Mapping[str, EndpointPlan]
    resource_ids: Mapping[str, pulumi.Input[str]]
    zone_ids: Mapping[str, str] = field(default_factory=dict)


class PrivateLink(pulumi.ComponentResource):
    """Private endpoints and the zones that name them.

    Attributes:
        ready: What must exist before a node can reach what endpoints lead to.
    """

    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: PrivateLinkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:PrivateLink", name, {}, opts)
        zone_ids: dict[str, pulumi.Input[str]] = dict(args.zone_ids)
        ready: list[pulumi.Resource] = []
        for zone_name in sorted({one.zone for one in args.endpoints.values()} - set(zone_ids)):
            zone = PrivateZone(
                f"{name}-{zone_name}",
                resource_group_name=args.place.resource_group_name,
                private_zone_name=zone_name,
                # Private zones belong to no region.
                location="global",
                opts=pulumi.ResourceOptions(parent=self),
            )
            zone_ids[zone_name] = zone.id
            ready += [
                VirtualNetworkLink(
                    f"{name}-{zone_name}-link{_suffix(link)}",
                    resource_group_name=args.place.resource_group_name,
                    private_zone_name=zone.name,
                    virtual_network_link_name=link,
                    location="global",
                    registration_enabled=False,
                    virtual_network=SubResourceArgs(id=network_id),
                    opts=pulumi.ResourceOptions(parent=self),
                )
                for link, network_id in sorted(args.virtual_network_ids.items())
            ]
        for logical_name, planned in args.endpoints.items():
            endpoint = PrivateEndpoint(
                f"{name}-{logical_name}",
                resource_group_name=args.place.resource_group_name,
                location=args.place.location,
                subnet=SubnetArgs(id=args.subnet_id),
                private_link_service_connections=[
                    PrivateLinkServiceConnectionArgs(
                        name=logical_name,
                        private_link_service_id=args.resource_ids[planned.resource],
                        group_ids=[planned.group_id],
                    )
                ],
                opts=pulumi.ResourceOptions(parent=self),
            )
            ready.append(
                PrivateDnsZoneGroup(
                    f"{name}-{logical_name}-zone",
                    resource_group_name=args.place.resource_group_name,
                    private_endpoint_name=endpoint.name,
                    private_dns_zone_group_name="default",
                    private_dns_zone_configs=[
                        PrivateDnsZoneConfigArgs(
                            name=planned.zone.replace(".", "-"),
                            private_dns_zone_id=zone_ids[planned.zone],
                        )
                    ],
                    opts=pulumi.ResourceOptions(parent=self),
                )
            )
        self.ready = tuple(ready)
        self.register_outputs({})


def _suffix(link: str) -> str:
    """What tells links of several networks apart; nothing for the stack's own network."""
    return "" if link == OWN_LINK else f"-{link}"
