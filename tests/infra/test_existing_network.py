"""A stack in a network of somebody else's: what is made there, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest
from pulumi_azure_native import network, privatedns, resources

from emulator.arm.errors import ArmError
from emulator.arm.kinds import Identity
from emulator.arm.mocks import ProgramRun, run_program
from infra.config import StackConfig
from infra.estate import plan_estate
from infra.platform import Platform
from infra.sources import PROJECT_ROOT

GROUP = f"/subscriptions/{Identity().subscription_id}/resourceGroups/hub"
HUB = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub"
NODES = f"{HUB}/subnets/nodes"
ENDPOINTS = f"{HUB}/subnets/endpoints"
BATCH_ZONE = f"{GROUP}/providers/Microsoft.Network/privateDnsZones/privatelink.batch.azure.com"
FREE = "10.20.4.0/22"
POOLS: dict[str, Any] = {
    "cpu": {"scale": {"mode": "fixed", "dedicated_nodes": 4}},
    "mpi": {"preset": "rdma", "scale": {"mode": "fixed", "dedicated_nodes": 8}},
}
SUBNET = "network:Subnet"


def hub() -> list[pulumi.Resource]:
    """What the people who keep the network made: it, two subnets and a zone."""
    group = resources.ResourceGroup("hub", resource_group_name="hub", location="eastus")
    vnet = network.VirtualNetwork(
        "hub",
        resource_group_name=group.name,
        virtual_network_name="hub",
        address_space=network.AddressSpaceArgs(address_prefixes=["10.20.0.0/16"]),
        subnets=[
            network.SubnetArgs(name="nodes", address_prefix="10.20.0.0/24"),
            network.SubnetArgs(name="endpoints", address_prefix="10.20.1.0/24"),
        ],
    )
    zone = privatedns.PrivateZone(
        "hub-zone",
        resource_group_name=group.name,
        private_zone_name="privatelink.batch.azure.com",
        location="global",
    )
    return [group, vnet, zone]


def joined(existing: Mapping[str, Any], **own: Any) -> ProgramRun:
    """The stack after the hub; `own` are keys of `network`."""
    config = StackConfig.model_validate(
        {"pools": POOLS, "network": {"existing": dict(existing), **own}}
    )
    estate = plan_estate("dev", config, root=PROJECT_ROOT, today=date(2026, 1, 1))

    def program() -> None:
        Platform("hpc", estate, pulumi.ResourceOptions(depends_on=hub()))

    return run_program(program, project="hpc", stack="dev")


def subnets_of_pools(run: ProgramRun) -> dict[str, str]:
    return {
        pool.name: pool.inputs["networkConfiguration"]["subnetId"]
        for pool in run.arm.of("batch:Pool")
    }


def names(run: ProgramRun, token: str) -> set[str]:
    return {one.name for one in run.arm.of(token)}


def test_pools_join_a_subnet_that_exists_and_nothing_of_a_network_is_made() -> None:
    run = joined({"subnet_id": NODES})
    assert set(subnets_of_pools(run).values()) == {NODES}
    assert names(run, "network:VirtualNetwork") == {"hub"}
    for token in (SUBNET, "network:NetworkSecurityGroup", "network:RouteTable"):
        assert run.arm.of(token) == []


def test_a_pool_may_have_a_subnet_of_its_own_among_those_that_exist() -> None:
    run = joined({"subnet_id": NODES, "pool_subnet_ids": {"mpi": ENDPOINTS}})
    assert subnets_of_pools(run) == {"cpu": NODES, "mpi": ENDPOINTS}


@pytest.mark.parametrize("subnets", ["shared", "per-pool"])
def test_subnets_are_made_inside_the_ranges_set_aside(subnets: str) -> None:
    run = joined({"virtual_network_id": HUB, "free_prefixes": [FREE]}, subnets=subnets)
    assert names(run, "network:VirtualNetwork") == {"hub"}
    made = run.arm.of(SUBNET)
    assert len(made) == (1 if subnets == "shared" else 2)
    for subnet in made:
        assert subnet.id is not None
        assert subnet.id.startswith(f"{HUB}/subnets/hpc-dev-")
        assert IPv4Network(subnet.inputs["addressPrefix"]).subnet_of(IPv4Network(FREE))
        # Rules of its own, as in a network of the stack's own.
        assert subnet.inputs["networkSecurityGroup"]["id"]
    assert set(subnets_of_pools(run).values()) == {subnet.id for subnet in made}


def test_ranges_that_are_not_the_networks_are_refused() -> None:
    with pytest.raises(ArmError, match="outside the IP address range"):
        joined({"virtual_network_id": HUB, "free_prefixes": ["10.30.4.0/22"]})


def test_ranges_that_somebody_uses_are_refused() -> None:
    with pytest.raises(ArmError, match="overlaps"):
        joined({"virtual_network_id": HUB, "free_prefixes": ["10.20.0.0/22"]})


def test_existing_and_made_subnets_may_be_mixed() -> None:
    run = joined(
        {
            "virtual_network_id": HUB,
            "free_prefixes": [FREE],
            "pool_subnet_ids": {"cpu": NODES},
        }
    )
    joins = subnets_of_pools(run)
    assert joins["cpu"] == NODES
    assert joins["mpi"] == run.arm.one(SUBNET).id


def test_made_subnets_have_the_routes_of_their_network() -> None:
    routes = f"{GROUP}/providers/Microsoft.Network/routeTables/firewall"
    run = joined(
        {"virtual_network_id": HUB, "free_prefixes": [FREE], "route_table_id": routes},
        public_addresses=False,
    )
    assert run.arm.one(SUBNET).inputs["routeTable"] == {"id": routes}
    assert run.arm.of("network:NatGateway") == []


def test_a_zone_that_exists_is_used_and_neither_made_nor_linked() -> None:
    run = joined(
        {
            "subnet_id": NODES,
            "endpoint_subnet_id": ENDPOINTS,
            "private_dns_zone_ids": [BATCH_ZONE],
        },
        private_endpoints=True,
    )
    made = {one.inputs["privateZoneName"] for one in run.arm.of("privatedns:PrivateZone")}
    assert made == {"privatelink.batch.azure.com", "privatelink.blob.core.windows.net"}
    assert names(run, "privatedns:PrivateZone") == {
        "hub-zone",
        "hpc-link-privatelink.blob.core.windows.net",
    }
    link = run.arm.one("privatedns:VirtualNetworkLink")
    assert link.inputs["virtualNetwork"] == {"id": HUB}
    groups = {
        group.inputs["privateDnsZoneConfigs"][0]["privateDnsZoneId"]
        for group in run.arm.of("network:PrivateDnsZoneGroup")
    }
    assert BATCH_ZONE in groups
    for endpoint in run.arm.of("network:PrivateEndpoint"):
        assert endpoint.inputs["subnet"]["id"] == ENDPOINTS


def test_nodes_of_made_subnets_reach_endpoints_in_a_subnet_that_exists() -> None:
    run = joined(
        {
            "virtual_network_id": HUB,
            "free_prefixes": [FREE],
            "endpoint_subnet_id": ENDPOINTS,
        },
        private_endpoints=True,
    )
    (group,) = run.arm.of("network:NetworkSecurityGroup")
    (rule,) = [
        one for one in group.inputs["securityRules"] if one["name"] == "allow-endpoints-outbound"
    ]
    assert rule["destinationAddressPrefix"] == "VirtualNetwork"
    assert rule["destinationPortRanges"] == ["443"]


@pytest.mark.parametrize(
    "change",
    [
        lambda: joined({"subnet_id": NODES}),
        lambda: joined({"virtual_network_id": HUB, "free_prefixes": [FREE]}),
    ],
)
def test_the_hub_is_as_it_was(change: Callable[[], ProgramRun]) -> None:
    alone = run_program(lambda: void(hub()), project="hpc", stack="dev")
    with_stack = change()
    for before in alone.arm.resources:
        after = next(one for one in with_stack.arm.resources if one.id == before.id)
        assert after.inputs == before.inputs


def void(_: object) -> None:
    """Drops what was declared."""
