"""The network that nodes live in: a virtual network, its subnets and who may talk.

Of a network that exists only subnets are made, in the ranges set aside for them, each with
rules of its own; subnets that exist are passed on as they are.

What it deliberately does not do: open anything inbound unless a pool's config asks for
it. Batch nodes under simplified communication call the service, never the other way
round, and people reach nodes through the Batch API. Subnets are resources of their own
and the virtual network declares none inline: mixing the two makes each deployment undo
the other.
"""

from __future__ import annotations

import hashlib
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
    RouteTableArgs,
    SecurityRuleArgs,
    ServiceEndpointPropertiesFormatArgs,
    Subnet,
    SubResourceArgs,
    VirtualNetwork,
)

from infra.components.place import Place
from infra.components.private_link import OWN_LINK
from infra.existing_network import (
    ExistingNetworkConfig,
    group_of,
    name_of,
    virtual_network_of,
)
from infra.names import security_group_name
from infra.security_rules import ANY, SecurityRule
from infra.subnets import ENDPOINT_SUBNET, NetworkPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkArgs:
    """Args of `Network`.

    Attributes:
        plan: Which subnets are made, or None where all exist.
        existing: The network that exists, or None to make one.
        pools: Logical names of all pools.
        subnet_prefix: What names of subnets begin with in a network that others use too.
        nat_gateway: Whether outbound traffic leaves through a NAT gateway.
        rules: Who may talk, by the name in the plan of each subnet for pools.
    """

    place: Place
    plan: NetworkPlan | None
    existing: ExistingNetworkConfig | None
    pools: Sequence[str]
    subnet_prefix: str
    nat_gateway: bool
    rules: Mapping[str, Sequence[SecurityRule]]


class Network(pulumi.ComponentResource):
    """Where nodes and private endpoints live.

    Attributes:
        virtual_network_ids: Networks of nodes, by a name for links to them.
        pool_subnet_ids: Resource id of the subnet that each pool joins, by logical name.
        endpoint_subnet_id: Resource id of the subnet for private endpoints, or None.
    """

    virtual_network_ids: Mapping[str, pulumi.Input[str]]
    pool_subnet_ids: Mapping[str, pulumi.Input[str]]
    endpoint_subnet_id: pulumi.Input[str] | None

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Network", name, {}, opts)
        existing = args.existing
        self.pool_subnet_ids = {
            pool: subnet_id
            for pool in args.pools
            if existing is not None and (subnet_id := existing.subnet_of(pool)) is not None
        }
        # What tells subnets apart, as outputs cannot be compared.
        self._subnets = {pool: str(one) for pool, one in self.pool_subnet_ids.items()}
        self.endpoint_subnet_id = existing.endpoint_subnet_id if existing else None
        self.virtual_network_ids = {
            _link(network_id): network_id
            for network_id in sorted(
                {virtual_network_of(str(one)) for one in self.pool_subnet_ids.values()}
            )
        }
        if args.plan is not None:
            self._make(name, args, args.plan)
        self.register_outputs(
            {
                "virtual_network_ids": self.virtual_network_ids,
                "pool_subnet_ids": self.pool_subnet_ids,
            }
        )

    def subnets_of(self, pools: Sequence[str]) -> list[pulumi.Input[str]]:
        """The subnets that pools join, each once."""
        return list({self._subnets[pool]: self.pool_subnet_ids[pool] for pool in pools}.values())

    def _make(self, name: str, args: NetworkArgs, plan: NetworkPlan) -> None:
        home = self._home(name, args, plan)
        gateway = self._nat_gateway(name, args) if args.nat_gateway and plan.subnets else None
        routes = args.existing.route_table_id if args.existing else None
        # Resource Manager changes one subnet of a network at a time.
        previous: list[pulumi.Resource] = []
        made: dict[str, pulumi.Input[str]] = {}
        for planned in plan.subnets:
            group = NetworkSecurityGroup(
                security_group_name(name, planned.name),
                resource_group_name=args.place.resource_group_name,
                location=args.place.location,
                security_rules=[_rule_args(rule) for rule in args.rules[planned.name]],
                opts=pulumi.ResourceOptions(parent=self),
            )
            subnet = Subnet(
                f"{name}-{planned.name}-subnet",
                resource_group_name=home.resource_group_name,
                virtual_network_name=home.name,
                subnet_name=f"{args.subnet_prefix}{planned.name}",
                address_prefix=str(planned.prefix),
                network_security_group=NetworkSecurityGroupArgs(id=group.id),
                nat_gateway=SubResourceArgs(id=gateway.id) if gateway else None,
                route_table=RouteTableArgs(id=routes) if routes else None,
                service_endpoints=[
                    ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")
                ],
                opts=pulumi.ResourceOptions(parent=self, depends_on=previous),
            )
            previous = [subnet]
            made |= dict.fromkeys(planned.pools, subnet.id)
            self._subnets |= dict.fromkeys(planned.pools, planned.name)
        if plan.endpoint_prefix is not None:
            self.endpoint_subnet_id = Subnet(
                f"{name}-{ENDPOINT_SUBNET}-subnet",
                resource_group_name=home.resource_group_name,
                virtual_network_name=home.name,
                subnet_name=f"{args.subnet_prefix}{ENDPOINT_SUBNET}",
                address_prefix=str(plan.endpoint_prefix),
                private_endpoint_network_policies="Disabled",
                opts=pulumi.ResourceOptions(parent=self, depends_on=previous),
            ).id
        if made:
            self.virtual_network_ids = {**self.virtual_network_ids, home.link: home.id}
        self.pool_subnet_ids = {**self.pool_subnet_ids, **made}

    def _home(self, name: str, args: NetworkArgs, plan: NetworkPlan) -> _Home:
        """The network that subnets are made in."""
        if args.existing is not None:
            network_id = str(args.existing.virtual_network_id)
            return _Home(
                id=network_id,
                resource_group_name=group_of(network_id),
                name=name_of(network_id),
                link=_link(network_id),
            )
        network = VirtualNetwork(
            f"{name}-vnet",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            address_space=AddressSpaceArgs(address_prefixes=[str(one) for one in plan.spaces]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return _Home(
            id=network.id,
            resource_group_name=args.place.resource_group_name,
            name=network.name,
            link=OWN_LINK,
        )

    def _nat_gateway(self, name: str, args: NetworkArgs) -> NatGateway:
        # Four addresses give 258,048 source ports, enough for pools of some thousand nodes.
        prefix = PublicIPPrefix(
            f"{name}-egress",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            prefix_length=30,
            sku=PublicIPPrefixSkuArgs(name="Standard"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return NatGateway(
            f"{name}-nat",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            public_ip_prefixes=[SubResourceArgs(id=prefix.id)],
            sku=NatGatewaySkuArgs(name="Standard"),
            opts=pulumi.ResourceOptions(parent=self),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Home:
    """The network that subnets are made in, and the name of links to it."""

    id: pulumi.Input[str]
    resource_group_name: pulumi.Input[str]
    name: pulumi.Input[str]
    link: str


def _link(network_id: str) -> str:
    """A name for links to a network that exists; two may have one name in two groups."""
    digest = hashlib.sha256(network_id.casefold().encode()).hexdigest()
    return f"{name_of(network_id)[:60]}-{digest[:8]}"


def _rule_args(rule: SecurityRule) -> SecurityRuleArgs:
    return SecurityRuleArgs(
        name=rule.name,
        description=rule.description,
        priority=rule.priority,
        direction=rule.direction,
        access=rule.access,
        protocol=rule.protocol,
        source_address_prefix=rule.source,
        source_port_range=ANY,
        destination_address_prefix=rule.destination,
        # Resource Manager takes the asterisk in the singular field alone.
        destination_port_range=ANY if rule.ports == (ANY,) else None,
        destination_port_ranges=None if rule.ports == (ANY,) else list(rule.ports),
    )
