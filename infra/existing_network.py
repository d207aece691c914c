"""A network that exists already: what of it the stack uses.

Either subnets that exist, for all pools, for one pool or for private endpoints, which are
used as they are; or a virtual network in which the program makes subnets of its own,
inside ranges that somebody has set aside for it. Both may be mixed. Whatever is named
here by id is never changed: neither its rules and routes nor its addresses.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import Field, StringConstraints

from infra.model import Model

_NETWORK_TYPE = r"^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/{path}$"


def _id_of(path: str) -> StringConstraints:
    return StringConstraints(
        pattern=re.compile(_NETWORK_TYPE.replace("{path}", path), re.IGNORECASE)
    )


SubnetId = Annotated[str, _id_of(r"virtualNetworks/[^/]+/subnets/[^/]+")]
VirtualNetworkId = Annotated[str, _id_of(r"virtualNetworks/[^/]+")]
RouteTableId = Annotated[str, _id_of(r"routeTables/[^/]+")]
PrivateZoneId = Annotated[str, _id_of(r"privateDnsZones/[^/]+")]


class ExistingNetworkConfig(Model):
    """A network of one's own; what is named here is used and left as it is."""

    subnet_id: SubnetId | None = Field(
        default=None, description="Subnet that pools without one of their own join."
    )
    pool_subnet_ids: dict[str, SubnetId] = Field(
        default_factory=dict, description="Subnets of single pools, by the pool's name."
    )
    endpoint_subnet_id: SubnetId | None = Field(
        default=None, description="Subnet for private endpoints."
    )
    virtual_network_id: VirtualNetworkId | None = Field(
        default=None,
        description="Network in which subnets are made for pools, and for private endpoints, "
        "that are given none.",
    )
    free_prefixes: tuple[IPv4Network, ...] = Field(
        default=(),
        description="Ranges of virtual_network_id that nothing else uses; subnets are made in "
        "them.",
    )
    route_table_id: RouteTableId | None = Field(
        default=None,
        description="Routes of the subnets that are made, such as those to a firewall.",
    )
    private_dns_zone_ids: tuple[PrivateZoneId, ...] = Field(
        default=(),
        description="Private zones that exist and that the network resolves already, such as "
        "a hub's; the others are made and linked.",
    )

    def subnet_of(self, pool: str) -> str | None:
        """The subnet that a pool joins, or None where one is made for it."""
        return self.pool_subnet_ids.get(pool, self.subnet_id)


def virtual_network_of(subnet_id: str) -> str:
    """The id of the network that a subnet lies in."""
    return "/".join(subnet_id.split("/")[:-2])


def name_of(resource_id: str) -> str:
    """The last segment of a resource id."""
    return resource_id.rpartition("/")[2]


def group_of(resource_id: str) -> str:
    """The name of the resource group in a resource id."""
    return resource_id.split("/")[4]


def subscription_of(resource_id: str) -> str:
    """The subscription in a resource id, in lower case."""
    return resource_id.split("/")[2].casefold()
