"""The network that nodes live in: a virtual network, its subnets and who may talk.

What it deliberately does not do: open anything inbound unless a pool's config asks for
it. Batch nodes under simplified communication call the service, never the other way
round, and people reach nodes through the Batch API. Subnets are resources of their own
and the virtual network declares none inline: mixing the two makes each deployment undo
the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.network import (
    AddressSpaceArgs,
    NatGateway,
    NatGatewaySkuArgs,
    NetworkSecurityGroup,
    NetworkSecurityGroupArgs,
    PublicIPPrefix,
    PublicIPPrefixSkuArgs,
    SecurityRuleArgs,
    ServiceEndpointPropertiesFormatArgs,
    Subnet,
    SubResourceArgs,
    VirtualNetwork,
)

from infra.components.place import Place
from infra.security_rules import InboundPort, SecurityRule, pool_subnet_rules
from infra.subnets import ENDPOINT_SUBNET, NetworkPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """Args of `Network`.

    Attributes:
        plan: Which subnets there are.
        nat_gateway: Whether outbound traffic leaves through a NAT gateway.
        allow_package_sources: Whether nodes may reach the internet on ports 80 and 443.
        container_pools: Logical names of pools that pull images from registries.
        inbound: Ports that named addresses may reach, by the pool's logical name.
    """

    place: Place
    plan: NetworkPlan
    nat_gateway: bool
    allow_package_sources: bool
    container_pools: frozenset[str]
    inbound: Mapping[str, Sequence[InboundPort]]


class Network(pulumi.ComponentResource):
    """A virtual network with a subnet for each planned one.

    Attributes:
        virtual_network_id: Resource id.
        pool_subnet_ids: Resource id of the subnet that each pool joins, by logical name.
        endpoint_subnet_id: Resource id of the subnet for private endpoints, or None.
    """

    virtual_network_id: pulumi.Output[str]
    pool_subnet_ids: Mapping[str, pulumi.Output[str]]
    endpoint_subnet_id: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Network", name, {}, opts)
        network = VirtualNetwork(
            f"{name}-vnet",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            tags=args.place.tags,
            address_space=AddressSpaceArgs(address_prefixes=[str(args.plan.address_space)]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        gateway = self._nat_gateway(name, args) if args.nat_gateway else None
        # Resource Manager changes one subnet of a network at a time.
        previous: list[pulumi.Resource] = []
        pool_subnet_ids: dict[str, pulumi.Output[str]] = {}
        for planned in args.plan.subnets:
            rules = pool_subnet_rules(
                location=args.place.location,
                prefix=planned.prefix,
                inter_node=planned.inter_node,
                allow_package_sources=args.allow_package_sources,
                endpoint_prefix=args.plan.endpoint_prefix,
                allow_registries=not args.container_pools.isdisjoint(planned.pools),
                inbound=[port for pool in planned.pools for port in args.inbound[pool]],
            )
            group = NetworkSecurityGroup(
                f"{name}-{planned.name}-nsg",
                resource_group_name=args.place.resource_group_name,
                location=args.place.location,
                tags=args.place.tags,
                security_rules=[_rule_args(rule) for rule in rules],
                opts=pulumi.ResourceOptions(parent=self),
            )
            subnet = Subnet(
                f"{name}-{planned.name}-subnet",
                resource_group_name=args.place.resource_group_name,
                virtual_network_name=network.name,
                subnet_name=planned.name,
                address_prefix=str(planned.prefix),
                network_security_group=NetworkSecurityGroupArgs(id=group.id),
                nat_gateway=SubResourceArgs(id=gateway.id) if gateway else None,
                service_endpoints=[
                    ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")
                ],
                opts=pulumi.ResourceOptions(parent=self, depends_on=previous),
            )
            previous = [subnet]
            pool_subnet_ids |= dict.fromkeys(planned.pools, subnet.id)
        self.endpoint_subnet_id = None
        if args.plan.endpoint_prefix is not None:
            self.endpoint_subnet_id = Subnet(
                f"{name}-{ENDPOINT_SUBNET}-subnet",
                resource_group_name=args.place.resource_group_name,
                virtual_network_name=network.name,
                subnet_name=ENDPOINT_SUBNET,
                address_prefix=str(args.plan.endpoint_prefix),
                private_endpoint_network_policies="Disabled",
                opts=pulumi.ResourceOptions(parent=self, depends_on=previous),
            ).id
        self.virtual_network_id = network.id
        self.pool_subnet_ids = pool_subnet_ids
        self.register_outputs(
            {"virtual_network_id": network.id, "pool_subnet_ids": pool_subnet_ids}
        )

    def _nat_gateway(self, name: str, args: NetworkArgs) -> NatGateway:
        # Four addresses give 258,048 source ports, enough for pools of some thousand nodes.
        prefix = PublicIPPrefix(
            f"{name}-egress",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            tags=args.place.tags,
            prefix_length=30,
            sku=PublicIPPrefixSkuArgs(name="Standard"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return NatGateway(
            f"{name}-nat",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            tags=args.place.tags,
            public_ip_prefixes=[SubResourceArgs(id=prefix.id)],
            sku=NatGatewaySkuArgs(name="Standard"),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _rule_args(rule: SecurityRule) -> SecurityRuleArgs:
    return SecurityRuleArgs(
        name=rule.name,
        description=rule.description,
        priority=rule.priority,
        direction=rule.direction,
        access=rule.access,
        protocol=rule.protocol,
        source_address_prefix=rule.source,
        source_port_range="*",
        destination_address_prefix=rule.destination,
        destination_port_ranges=list(rule.ports),
    )
