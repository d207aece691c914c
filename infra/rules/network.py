"""Rules of addresses and of the ways in and out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from infra.estate import Estate
from infra.rules.rule import Problem, Rule

_DOCKER_BRIDGE = IPv4Network("172.17.0.0/16")
_LARGEST_SPACE = 8
_SMALLEST_SPACE = 24


def _pools_fit(estate: Estate) -> Iterator[Problem]:
    """Subnets hold their pools at their largest."""
    if estate.network_problem:
        yield Problem("network.address_space", estate.network_problem)


def _address_space_is_private(estate: Estate) -> Iterator[Problem]:
    """The network has a private address range of a sensible size."""
    space = estate.config.network.address_space
    if not space.is_private or not _LARGEST_SPACE <= space.prefixlen <= _SMALLEST_SPACE:
        yield Problem(
            "network.address_space",
            f"{space} is not a private range between /{_LARGEST_SPACE} and /{_SMALLEST_SPACE}; "
            "write one such as 10.64.0.0/16",
        )


def _docker_bridge_is_free(estate: Estate) -> Iterator[Problem]:
    """Docker's own bridge stays free."""
    space = estate.config.network.address_space
    if space.overlaps(_DOCKER_BRIDGE):
        yield Problem(
            "network.address_space",
            f"{space} overlaps Docker's own bridge {_DOCKER_BRIDGE}: container tasks would "
            "lose their way; write another range, such as 10.64.0.0/16",
        )


def _private_nodes_have_a_way_out(estate: Estate) -> Iterator[Problem]:
    """Nodes without public addresses can reach the Batch service."""
    network = estate.config.network
    if network.public_addresses or network.nat_gateway or network.private_endpoints:
        return
    if network.existing_subnet_id is None:
        yield Problem(
            "network.public_addresses",
            "nodes without public addresses cannot reach the Batch service and would never "
            "become idle; set network.nat_gateway: true or network.private_endpoints: true",
        )


def _existing_subnet_is_left_alone(estate: Estate) -> Iterator[Problem]:
    """An existing subnet is used as it is."""
    network = estate.config.network
    if network.existing_subnet_id is None:
        return
    if network.nat_gateway:
        yield Problem(
            "network.nat_gateway",
            "the gateway of an existing subnet belongs to its network; attach it there and "
            "leave this key out",
        )
    if network.private_endpoints:
        yield Problem(
            "network.private_endpoints",
            "private endpoints need a subnet of the created network; leave out "
            "network.existing_subnet_id, or make the endpoints in your own network",
        )
    if network.subnets == "per-pool":
        yield Problem(
            "network.subnets",
            "all pools join the one existing subnet; write shared, or leave this key out",
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


def _packages_need_the_internet(estate: Estate) -> Iterator[Problem]:
    """Start tasks reach the package sources they call."""
    network = estate.config.network
    if network.allow_package_sources or network.existing_subnet_id is not None:
        return
    for pool in estate.pools:
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
    Rule(code="NET005", severity="error", source=_SUBNETS, judge=_existing_subnet_is_left_alone),
    Rule(
        code="NET006",
        severity="warning",
        source="https://learn.microsoft.com/azure/nat-gateway/nat-overview",
        judge=_public_addresses_are_for_one_way_out,
    ),
    Rule(code="NET007", severity="warning", source=_SUBNETS, judge=_packages_need_the_internet),
)
