"""The planned estate: the one value that rules judge and components declare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network
from pathlib import Path

from infra.config import NetworkConfig, StackConfig
from infra.errors import AddressSpaceError
from infra.names import PREFIX
from infra.pools import PoolPlan, plan_pool
from infra.security_rules import VIRTUAL_NETWORK
from infra.subnets import NetworkPlan, SubnetDemand, plan_network


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A stack's config with all that follows from it.

    Attributes:
        stack: The stack's name.
        config: What the person wrote, with defaults.
        pools: Pool plans in order of name.
        network: The subnets that are made, or None where all exist or none fit.
        network_problem: Why the subnets do not fit, else empty.
        today: The day that retirements are judged on.
    """

    stack: str
    config: StackConfig
    pools: tuple[PoolPlan, ...]
    network: NetworkPlan | None
    network_problem: str
    today: date

    @property
    def endpoint_addresses(self) -> str | None:
        """Where nodes find private endpoints, as security rules have it; None without any.

        Of a subnet that exists no address is known, so it stands for the whole network.
        """
        if self.network is not None and self.network.endpoint_prefix is not None:
            return str(self.network.endpoint_prefix)
        existing = self.config.network.existing
        return VIRTUAL_NETWORK if existing and existing.endpoint_subnet_id else None

    @property
    def tags(self) -> dict[str, str]:
        """What everything of the stack is tagged with, and told from other stacks' by."""
        return {"project": PREFIX, "stack": self.stack, **self.config.tags}


def plan_estate(stack: str, config: StackConfig, *, root: Path, today: date) -> Estate:
    """Plans pools and network of a valid config."""
    pools = tuple(plan_pool(name, config.pools[name], root=root) for name in sorted(config.pools))
    network, problem = None, ""
    try:
        network = _plan_network(config.network, pools)
    except AddressSpaceError as error:
        problem = str(error)
    return Estate(
        stack=stack,
        config=config,
        pools=pools,
        network=network,
        network_problem=problem,
        today=today,
    )


def _plan_network(config: NetworkConfig, pools: tuple[PoolPlan, ...]) -> NetworkPlan | None:
    """The subnets that are made, or None where there are none or nowhere to make them.

    Raises:
        AddressSpaceError: They do not fit.
    """
    existing = config.existing
    spaces: tuple[IPv4Network, ...] = (config.address_space,)
    private_endpoints = config.private_endpoints
    if existing is not None:
        spaces = existing.free_prefixes if existing.virtual_network_id else ()
        private_endpoints = private_endpoints and existing.endpoint_subnet_id is None
    demands = [
        SubnetDemand(
            pool=pool.name,
            max_nodes=pool.scale.max_nodes,
            inter_node=pool.inter_node_communication,
        )
        for pool in pools
        if existing is None or existing.subnet_of(pool.name) is None
    ]
    if not spaces or not (demands or private_endpoints):
        return None
    return plan_network(
        spaces,
        demands,
        per_pool=config.subnets == "per-pool",
        private_endpoints=private_endpoints,
    )
