"""Rules of addresses and of the ways in and out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from infra.estate import Estate
from infra.pools import PoolPlan
from infra.rules.rule import Problem, Rule

_DOCKER_BRIDGE = IPv4Network("172.17.0.0/16")
_LARGEST_SPACE = 8
_SMALLEST_SPACE = 24
_SMALLEST_RANGE = 29


def _pools_fit(estate: Estate) -> Iterator[Problem]:
    """Subnets hold their pools at their largest."""
    if estate.network_problem:
        where = "existing.free_prefixes" if estate.config.network.existing else "address_space"
        yield Problem(f"network.{where}", estate.network_problem)


def _spaces(estate: Estate) -> Iterator[tuple[str, IPv4Network]]:
    """The ranges that nodes may have addresses of, each with its path."""
    network = estate.config.network
    if network.existing is None:
        yield "network.address_space", network.address_space
        return
    for index, prefix in enumerate(network.existing.free_prefixes):
        yield f"network.existing.free_prefixes.{index}", prefix


def _address_space_is_private(estate: Estate) -> Iterator[Problem]:
    """The network has a private address range of a sensible size."""
    smallest = _SMALLEST_RANGE if estate.config.network.existing else _SMALLEST_SPACE
    for path, space in _spaces(estate):
        if space.is_private and _LARGEST_SPACE <= space.prefixlen <= smallest:
            continue
        yield Problem(
            path,
            f"{space} is not a private range between /{_LARGEST_SPACE} and /{smallest}; "
            "write one such as 10.64.0.0/16",
        )


def _docker_bridge_is_free(estate: Estate) -> Iterator[Problem]:
    """Docker's own bridge stays free."""
    for path, space in _spaces(estate):
        if space.overlaps(_DOCKER_BRIDGE):
            yield Problem(
                path,
                f"{space} overlaps Docker's own bridge {_DOCKER_BRIDGE}: container tasks would "
                "lose their way; write another range, such as 10.64.0.0/16",
            )


def _private_nodes_have_a_way_out(estate: Estate) -> Iterator[Problem]:
    """Nodes without public addresses can reach the Batch service."""
    network = estate.config.network
    if network.public_addresses or network.nat_gateway or network.private_endpoints:
        return
    routed = network.existing is not None and network.existing.route_table_id is not None
    if not routed and estate.network is not None and estate.network.subnets:
        yield Problem(
            "network.public_addresses",
            "nodes without public addresses cannot reach the Batch service and would never "
            "become idle; set network.nat_gateway: true or network.private_endpoints: true",
        )


def _public_addresses_are_for_one_way_out(estate: Estate) -> Iterator[Problem]:
    """A gateway is paid for only where it is used."""
    network = estate.config.network
    if network.public_addresses and network.nat_gateway:
        yield Problem(
            "network.nat_gateway",
            "nodes with public addresses do not use the gateway, which is billed all the "
            "same; set network.public_addresses: false or leave the gateway out",
        )


def pools_without_internet(estate: Estate) -> Iterator[PoolPlan]:
    """Pools whose nodes are let out to Azure alone.

    What a subnet that exists lets out is not known here: pools that join one are left out.
    """
    network = estate.config.network
    if network.allow_package_sources:
        return
    for pool in estate.pools:
        if network.existing is None or network.existing.subnet_of(pool.name) is None:
            yield pool


def _packages_need_the_internet(estate: Estate) -> Iterator[Problem]:
    """Start tasks reach the package sources they call."""
    for pool in pools_without_internet(estate):
        command = pool.start_task.command_line if pool.start_task else ""
        tool = next(
            (
                t
                for t in ("apt", "pip", "dnf", "curl", "wget")
                if f"{t} " in command or f"{t}-get " in command
            ),
            "",
        )
        if tool:
            yield Problem(
                f"{pool.path}.start_task.command_line",
                f"it calls {tool}, but nodes may not reach the internet, so nodes would end "
                "as StartTaskFailed; set network.allow_package_sources: true",
            )


_SUBNETS = "https://learn.microsoft.com/azure/batch/batch-virtual-network"
_NO_PUBLIC = (
    "https://learn.microsoft.com/azure/batch/simplified-node-communication-pool-no-public-ip"
)

RULES = (
    Rule(code="NET001", severity="error", source=_SUBNETS, judge=_pools_fit),
    Rule(code="NET002", severity="error", source=_SUBNETS, judge=_address_space_is_private),
    Rule(
        code="NET003",
        severity="warning",
        source="https://learn.microsoft.com/azure/batch/batch-docker-container-workloads",
        judge=_docker_bridge_is_free,
    ),
    Rule(code="NET004", severity="error", source=_NO_PUBLIC, judge=_private_nodes_have_a_way_out),
    Rule(
        code="NET006",
        severity="warning",
        source="https://learn.microsoft.com/azure/nat-gateway/nat-overview",
        judge=_public_addresses_are_for_one_way_out,
    ),
    Rule(code="NET007", severity="warning", source=_SUBNETS, judge=_packages_need_the_internet),
)
